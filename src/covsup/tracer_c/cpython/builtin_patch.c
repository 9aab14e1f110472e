/* cpython/builtin_patch.c - call a handler from a builtin function. See builtin_patch.h.
 *
 * Must never know: what a handler does. */
#include "cpython/builtin_patch.h"

#include <pthread.h>
#include <string.h>

#include "cpython/compat.h"

#define CONVENTION                                                                                 \
    (METH_VARARGS | METH_KEYWORDS | METH_NOARGS | METH_O | METH_FASTCALL | METH_METHOD)

/* Flags that name no calling convention. If they know the convention, the specialising interpreter
 * and Cython call the C function of a builtin directly; else they use the vectorcall. */
#define NO_CONVENTION METH_KEYWORDS

/* A new builtin like `function`, of another definition. */
static PyObject *
builtin_like(PyMethodDef *definition, PyObject *function)
{
    PyCFunctionObject *original = (PyCFunctionObject *)function;
    return PyCFunction_NewEx(definition, original->m_self, original->m_module);
}

static PyObject *
call_original(const patched_call *call, PyObject *const *args, size_t nargsf)
{
    const builtin_patch *which = call->patch;
    if (which->original != NULL) {
        return which->original(call->function, args, nargsf, call->kwnames);
    }
    PyObject *original = builtin_like(which->definition, call->function); /* owned */
    PyObject *result =
        original != NULL ? PyObject_Vectorcall(original, args, nargsf, call->kwnames) : NULL;
    Py_XDECREF(original);
    return result;
}

PyObject *
patch_call_original(const patched_call *call)
{
    return call_original(call, call->args, call->nargsf);
}

/* The index of the keyword's value in the vector, or -1. */
static Py_ssize_t
keyword_index(const patched_call *call, const char *keyword)
{
    if (call->kwnames != NULL && keyword != NULL) {
        for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(call->kwnames); i++) {
            if (PyUnicode_CompareWithASCIIString(PyTuple_GET_ITEM(call->kwnames, i), keyword) ==
                0) {
                return call->nargs + i;
            }
        }
    }
    return -1;
}

PyObject *
patch_argument(const patched_call *call, Py_ssize_t position, const char *keyword)
{
    Py_ssize_t at = position < call->nargs ? position : keyword_index(call, keyword);
    return at < 0 ? NULL : call->args[at];
}

PyObject *
patch_call_original_with(const patched_call *call, Py_ssize_t position, const char *keyword,
                         PyObject *value)
{
    Py_ssize_t count = patch_argument_count(call);
    PyObject **args = PyMem_New(PyObject *, (size_t)count);
    if (args == NULL) {
        return PyErr_NoMemory();
    }
    memcpy(args, call->args, (size_t)count * sizeof(PyObject *));
    args[position < call->nargs ? position : keyword_index(call, keyword)] = value;
    PyObject *result = call_original(call, args, (size_t)call->nargs);
    PyMem_Free(args);
    return result;
}

PyObject *
unpatched_builtin(PyObject *function)
{
    if (!PyCFunction_CheckExact(function)) {
        return Py_NewRef(function);
    }
    return builtin_like(((PyCFunctionObject *)function)->m_ml, function);
}

/* Can patch_call_original() call a function with these flags? */
static bool
is_known(int flags)
{
    switch (flags & CONVENTION) {
    case METH_NOARGS:
    case METH_O:
    case METH_VARARGS:
    case METH_VARARGS | METH_KEYWORDS:
    case METH_FASTCALL:
    case METH_FASTCALL | METH_KEYWORDS:
        return true;
    default:
        return false;
    }
}

/* Interpreters with a GIL of their own may install at once. */
static pthread_mutex_t install_lock = PTHREAD_MUTEX_INITIALIZER;

static builtin_patch *installed; /* a list, under install_lock; it only grows */

/* NULL, or the reason why the function cannot be patched. */
static const char *
install(builtin_patch *which, PyCFunctionObject *function)
{
    const char *refusal = NULL;
    pthread_mutex_lock(&install_lock);
    PyMethodDef *now = function->m_ml;
    if (now == &which->ours) {
        goto done;
    }
    if (which->definition == NULL) {
        if (!is_known(now->ml_flags)) {
            refusal = "its calling convention is unknown";
            goto done;
        }
        which->ours = *now;
        which->ours.ml_flags = (now->ml_flags & ~CONVENTION) | NO_CONVENTION;
        which->original = function->vectorcall;
        which->definition = now;
        which->next = installed;
        installed = which;
    }
    if (which->definition != now || which->original != function->vectorcall) {
        refusal = "it is not the function that the first interpreter has";
        goto done;
    }
    function->m_ml = &which->ours;
    function->vectorcall = which->entry;
done:
    pthread_mutex_unlock(&install_lock);
    return refusal;
}

int
patch_install_in(builtin_patch *which, PyObject *module, PyObject *skipped)
{
    PyObject *function = compat_dict_item(PyModule_GetDict(module), which->name); /* owned */
    if (function == NULL) {
        return 0; /* this system or this version of Python has none */
    }
    int rc = 0;
    const char *refusal = PyCFunction_CheckExact(function)
                              ? install(which, (PyCFunctionObject *)function)
                              : "it has been replaced by another function";
    Py_DECREF(function);
    if (refusal != NULL) {
        PyObject *text =
            PyUnicode_FromFormat("%s.%s: %s", which->module, which->name, refusal); /* owned */
        rc = text != NULL ? PyList_Append(skipped, text) : -1;
        Py_XDECREF(text);
    }
    return rc;
}

int
patch_install(builtin_patch *which, PyObject *skipped)
{
    atomic_store(&which->wanted, true);
    PyObject *module = compat_dict_item(PyImport_GetModuleDict(), which->module); /* owned */
    int rc = 0; /* not imported yet: installed when it is */
    if (module != NULL && PyModule_Check(module)) {
        rc = patch_install_in(which, module, skipped);
    }
    Py_XDECREF(module);
    return rc;
}

/* The function of a patch as its module has it now; owned, or NULL. No exception. */
static PyObject *
current_function(const builtin_patch *which)
{
    static const char prefix[] = "sys.";
    PyObject *module = NULL;                                       /* owned */
    if (strncmp(which->module, prefix, sizeof(prefix) - 1) == 0) { /* it is not in sys.modules */
        module = Py_XNewRef(PySys_GetObject(which->module + sizeof(prefix) - 1));
    } else {
        module = compat_dict_item(PyImport_GetModuleDict(), which->module);
    }
    PyObject *function = module != NULL && PyModule_Check(module)
                             ? compat_dict_item(PyModule_GetDict(module), which->name)
                             : NULL;
    Py_XDECREF(module);
    PyErr_Clear();
    return function;
}

void
patch_remove_all(void)
{
    pthread_mutex_lock(&install_lock);
    builtin_patch *first = installed;
    pthread_mutex_unlock(&install_lock);
    for (builtin_patch *which = first; which != NULL; which = which->next) {
        PyObject *function = current_function(which); /* owned */
        atomic_store(&which->wanted, false);
        if (function != NULL && PyCFunction_CheckExact(function)) {
            PyCFunctionObject *patched = (PyCFunctionObject *)function;
            pthread_mutex_lock(&install_lock);
            if (patched->m_ml == &which->ours) {
                patched->vectorcall = which->original;
                patched->m_ml = which->definition;
            }
            pthread_mutex_unlock(&install_lock);
        }
        Py_XDECREF(function);
    }
}
