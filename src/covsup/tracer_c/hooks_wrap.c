/* hooks_wrap.c - make a builtin function call ours first, without replacing it.
 *
 * Threads: see hooks_wrap.h.
 * Must never know: what a wrapper does. */
#include "hooks_wrap.h"

#include <pthread.h>
#include <string.h>

#define CONVENTION                                                                                 \
    (METH_VARARGS | METH_KEYWORDS | METH_NOARGS | METH_O | METH_FASTCALL | METH_METHOD)

/* As the casts of CPython's own call.c. */
typedef PyObject *(*vector_function)(PyObject *, PyObject *const *, Py_ssize_t);
typedef PyObject *(*vector_keywords_function)(PyObject *, PyObject *const *, Py_ssize_t,
                                              PyObject *);
#define CAST(type, function) ((type)(void (*)(void))(function))

PyObject *
hook_original(const hook_call *call)
{
    const PyMethodDef *original = call->hook->original;
    PyCFunction function = original->ml_meth;
    switch (original->ml_flags & CONVENTION) {
    case METH_NOARGS:
        return function(call->self, NULL);
    case METH_O:
        return function(call->self, call->args[0]);
    case METH_VARARGS:
        return function(call->self, call->tuple);
    case METH_VARARGS | METH_KEYWORDS:
        return CAST(PyCFunctionWithKeywords, function)(call->self, call->tuple, call->keywords);
    case METH_FASTCALL:
        return CAST(vector_function, function)(call->self, call->args, call->nargs);
    default: /* METH_FASTCALL | METH_KEYWORDS: hook_arm() lets no other through */
        return CAST(vector_keywords_function, function)(call->self, call->args, call->nargs,
                                                        call->kwnames);
    }
}

/* Where the keyword's value is in a vector, or -1. */
static Py_ssize_t
keyword_index(const hook_call *call, const char *keyword)
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
hook_argument(const hook_call *call, Py_ssize_t position, const char *keyword)
{
    if (position < call->nargs) {
        return call->args[position];
    }
    if (keyword == NULL) {
        return NULL;
    }
    if (call->keywords != NULL) {
        return PyDict_GetItemString(call->keywords, keyword);
    }
    Py_ssize_t at = keyword_index(call, keyword);
    return at < 0 ? NULL : call->args[at];
}

static PyObject *
original_with_tuple(const hook_call *call, Py_ssize_t position, const char *keyword,
                    PyObject *value)
{
    hook_call changed = *call;
    PyObject *tuple = NULL, *keywords = NULL, *result = NULL; /* owned */
    if (position < call->nargs) {
        tuple = PyTuple_New(call->nargs);
        if (tuple == NULL) {
            goto done;
        }
        for (Py_ssize_t i = 0; i < call->nargs; i++) {
            PyTuple_SET_ITEM(tuple, i, Py_NewRef(i == position ? value : call->args[i]));
        }
        changed.tuple = tuple;
    } else {
        keywords = PyDict_Copy(call->keywords);
        if (keywords == NULL || PyDict_SetItemString(keywords, keyword, value) < 0) {
            goto done;
        }
        changed.keywords = keywords;
    }
    result = hook_original(&changed);
done:
    Py_XDECREF(tuple);
    Py_XDECREF(keywords);
    return result;
}

PyObject *
hook_original_with(const hook_call *call, Py_ssize_t position, const char *keyword, PyObject *value)
{
    if (call->tuple != NULL) {
        return original_with_tuple(call, position, keyword, value);
    }
    Py_ssize_t count = call->nargs;
    if (call->kwnames != NULL) {
        count += PyTuple_GET_SIZE(call->kwnames);
    }
    PyObject **args = PyMem_New(PyObject *, (size_t)count);
    if (args == NULL) {
        return PyErr_NoMemory();
    }
    memcpy(args, call->args, (size_t)count * sizeof(PyObject *));
    args[position < call->nargs ? position : keyword_index(call, keyword)] = value;
    hook_call changed = *call;
    changed.args = args;
    PyObject *result = hook_original(&changed);
    PyMem_Free(args);
    return result;
}

/* Our function for the original's calling convention; NULL for one that has none. */
static PyCFunction
entry_for(const hook_entries *entries, int flags)
{
    switch (flags & CONVENTION) {
    case METH_NOARGS:
        return entries->no_arguments;
    case METH_O:
        return entries->one_argument;
    case METH_VARARGS:
        return entries->tuple;
    case METH_VARARGS | METH_KEYWORDS:
        return CAST(PyCFunction, entries->tuple_keywords);
    case METH_FASTCALL:
        return entries->vector;
    case METH_FASTCALL | METH_KEYWORDS:
        return entries->vector_keywords;
    default:
        return NULL;
    }
}

/* Two interpreters with locks of their own may arm at once. */
static pthread_mutex_t arming = PTHREAD_MUTEX_INITIALIZER;

/* NULL, or why the function cannot be wrapped. */
static const char *
wrap(hook *which, PyCFunctionObject *function)
{
    const char *refusal = NULL;
    pthread_mutex_lock(&arming);
    PyMethodDef *now = function->m_ml;
    if (now == &which->ours) {
        goto done;
    }
    if (which->original == NULL) {
        PyCFunction entry = entry_for(which->entries, now->ml_flags);
        if (entry == NULL) {
            refusal = "its calling convention is unknown";
            goto done;
        }
        which->ours = *now;
        which->ours.ml_meth = entry;
        which->original = now;
    }
    if (which->original != now) {
        refusal = "it is another function than that of the first interpreter";
        goto done;
    }
    function->m_ml = &which->ours;
done:
    pthread_mutex_unlock(&arming);
    return refusal;
}

/* The sets of functions that the os module keeps. A function's hash is that of its C function. */
static const char *const function_sets[] = {"supports_fd", "supports_dir_fd",
                                            "supports_effective_ids", "supports_follow_symlinks"};
enum { FUNCTION_SETS = sizeof(function_sets) / sizeof(function_sets[0]) };

/* The set of that name, borrowed, or NULL. */
static PyObject *
function_set(int which)
{
    PyObject *os = PyDict_GetItemString(PyImport_GetModuleDict(), "os"); /* borrowed */
    if (os == NULL || !PyModule_Check(os)) {
        return NULL;
    }
    PyObject *set = PyDict_GetItemString(PyModule_GetDict(os), function_sets[which]);
    return set != NULL && PySet_Check(set) ? set : NULL;
}

/* wrap(), and the function is in the same sets afterwards. -1: exception set. */
static int
wrap_in_sets(hook *which, PyObject *function, const char **refusal)
{
    bool held[FUNCTION_SETS] = {false};
    int rc = 0;
    for (int i = 0; i < FUNCTION_SETS; i++) {
        PyObject *set = function_set(i);
        held[i] = set != NULL && PySet_Discard(set, function) == 1;
    }
    *refusal = wrap(which, (PyCFunctionObject *)function);
    for (int i = 0; i < FUNCTION_SETS; i++) {
        if (held[i] && PySet_Add(function_set(i), function) < 0) {
            rc = -1;
        }
    }
    return rc;
}

int
hook_arm(hook *which, PyObject *refused)
{
    int rc = -1;
    PyObject *text = NULL; /* owned */
    which->wanted = true;
    PyObject *modules = PyImport_GetModuleDict(); /* borrowed */
    PyObject *module = PyDict_GetItemString(modules, which->module);
    if (module == NULL || !PyModule_Check(module)) {
        return 0; /* armed when it is imported */
    }
    PyObject *function = PyDict_GetItemString(PyModule_GetDict(module), which->name);
    if (function == NULL) {
        return 0; /* this system or version has none */
    }
    const char *refusal = "somebody else has replaced it";
    if (PyCFunction_CheckExact(function) && wrap_in_sets(which, function, &refusal) < 0) {
        goto done;
    }
    if (refusal != NULL) {
        text = PyUnicode_FromFormat("%s.%s: %s", which->module, which->name, refusal);
        if (text == NULL || PyList_Append(refused, text) < 0) {
            goto done;
        }
    }
    rc = 0;
done:
    Py_XDECREF(text);
    return rc;
}
