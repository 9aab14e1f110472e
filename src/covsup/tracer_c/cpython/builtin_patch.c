/* cpython/builtin_patch.c - make a builtin function call ours first, without replacing it.
 *
 * Threads: see cpython/builtin_patch.h.
 * Must never know: what a wrapper does. */
#include "cpython/builtin_patch.h"

#include <pthread.h>
#include <string.h>

#include "cpython/compat.h"

#define CONVENTION                                                                                 \
    (METH_VARARGS | METH_KEYWORDS | METH_NOARGS | METH_O | METH_FASTCALL | METH_METHOD)

/* Flags that name no calling convention. The specialising interpreter, Cython and others call a
 * builtin's C function directly if they know its convention, and the vectorcall if not. */
#define NO_CONVENTION METH_KEYWORDS

/* A builtin of the original's definition. */
static PyObject *
twin_of(PyMethodDef *definition, PyObject *function)
{
    PyCFunctionObject *wrapped = (PyCFunctionObject *)function;
    return PyCFunction_NewEx(definition, wrapped->m_self, wrapped->m_module);
}

static PyObject *
call_original(const patched_call *call, PyObject *const *args, size_t nargsf)
{
    const builtin_patch *which = call->builtin_patch;
    if (which->original != NULL) {
        return which->original(call->function, args, nargsf, call->kwnames);
    }
    PyObject *twin = twin_of(which->definition, call->function); /* owned */
    PyObject *result = twin != NULL ? PyObject_Vectorcall(twin, args, nargsf, call->kwnames) : NULL;
    Py_XDECREF(twin);
    return result;
}

PyObject *
patch_call_original(const patched_call *call)
{
    return call_original(call, call->args, call->nargsf);
}

/* Where the keyword's value is in a vector, or -1. */
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
    return twin_of(((PyCFunctionObject *)function)->m_ml, function);
}

/* Can a function of these flags be called by patch_call_original()? */
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

/* Two interpreters with locks of their own may arm at once. */
static pthread_mutex_t arming = PTHREAD_MUTEX_INITIALIZER;

/* NULL, or why the function cannot be wrapped. */
static const char *
wrap(builtin_patch *which, PyCFunctionObject *function)
{
    const char *refusal = NULL;
    pthread_mutex_lock(&arming);
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
    }
    if (which->definition != now || which->original != function->vectorcall) {
        refusal = "it is another function than that of the first interpreter";
        goto done;
    }
    function->m_ml = &which->ours;
    function->vectorcall = which->entry;
done:
    pthread_mutex_unlock(&arming);
    return refusal;
}

int
patch_install_in(builtin_patch *which, PyObject *module, PyObject *refused)
{
    PyObject *function = compat_dict_item(PyModule_GetDict(module), which->name); /* owned */
    if (function == NULL) {
        return 0; /* this system or version has none */
    }
    int rc = 0;
    const char *refusal = PyCFunction_CheckExact(function)
                              ? wrap(which, (PyCFunctionObject *)function)
                              : "somebody else has replaced it";
    Py_DECREF(function);
    if (refusal != NULL) {
        PyObject *text =
            PyUnicode_FromFormat("%s.%s: %s", which->module, which->name, refusal); /* owned */
        rc = text != NULL ? PyList_Append(refused, text) : -1;
        Py_XDECREF(text);
    }
    return rc;
}

int
patch_install(builtin_patch *which, PyObject *refused)
{
    which->wanted = true;
    PyObject *module = compat_dict_item(PyImport_GetModuleDict(), which->module); /* owned */
    int rc = 0; /* armed when it is imported */
    if (module != NULL && PyModule_Check(module)) {
        rc = patch_install_in(which, module, refused);
    }
    Py_XDECREF(module);
    return rc;
}
