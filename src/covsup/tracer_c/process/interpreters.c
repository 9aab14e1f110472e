/* process/interpreters.c - let functions be passed to other interpreters as without covsup.
 *
 * From 3.14 on, CPython passes a function that uses nothing outside itself to another interpreter
 * as it is, but not if its code object has extra data. The state of a measured code object is such
 * data. So it is taken off for the call that passes the function on. If another thread runs the
 * code meanwhile, its next event puts the state back.
 *
 * Threads: with an attached thread state.
 * Must never know: what that state is. */
#include "process/patches.h"

#include "cpython/compat.h"
#include "core/code_state.h"
#include "core/interpreter.h"

#if COMPAT_SHARES_FUNCTIONS

enum { MAX_DEPTH = 4 };

typedef struct {
    core *self;
    PyObject *codes; /* owned list */
} hidden;

/* Hide the state of the functions in an argument, and in containers that are passed item by item.
 */
static void
hide_functions(hidden *all, PyObject *object, int depth)
{
    if (object == NULL || depth > MAX_DEPTH) {
        return;
    }
    PyObject *code = PyFunction_Check(object) ? PyFunction_GET_CODE(object)
                     : PyCode_Check(object)   ? object
                                              : NULL; /* borrowed */
    if (code != NULL) {
        if (code_state_hide(all->self, (PyCodeObject *)code) &&
            PyList_Append(all->codes, code) < 0) {
            code_state_show(all->self, (PyCodeObject *)code);
            PyErr_Clear(); /* no memory: the call then refuses the function */
        }
    } else if (PyTuple_CheckExact(object)) {
        for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(object); i++) {
            hide_functions(all, PyTuple_GET_ITEM(object, i), depth + 1);
        }
    } else if (PyDict_CheckExact(object)) {
        PyObject *key, *value; /* borrowed: no Python runs during the walk */
        Py_ssize_t at = 0;
        while (PyDict_Next(object, &at, &key, &value)) {
            hide_functions(all, value, depth + 1);
        }
    }
}

static PyObject *
interpreters_call_handler(const patched_call *call)
{
    hidden all = {.self = interpreter_core()};
    if (all.self == NULL || (all.codes = PyList_New(0)) == NULL) {
        PyErr_Clear();
        return patch_call_original(call);
    }
    for (Py_ssize_t i = 0; i < patch_argument_count(call); i++) {
        hide_functions(&all, call->args[i], 0);
    }
    PyObject *result = patch_call_original(call);
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(all.codes); i++) {
        code_state_show(all.self, (PyCodeObject *)PyList_GET_ITEM(all.codes, i));
    }
    PyObject *exception = compat_take_exception();
    Py_DECREF(all.codes);
    compat_restore_exception(exception);
    return result;
}
#define interpreters_exec_handler interpreters_call_handler
#define interpreters_set_handler interpreters_call_handler
#define queues_put_handler interpreters_call_handler
#define channels_send_handler interpreters_call_handler

PATCH(interpreters_call, "_interpreters", "call");
PATCH(interpreters_exec, "_interpreters", "exec");
PATCH(interpreters_set, "_interpreters", "set___main___attrs");
PATCH(queues_put, "_interpqueues", "put");
PATCH(channels_send, "_interpchannels", "send");

builtin_patch *const interpreter_patches[] = {
    &interpreters_call, &interpreters_exec, &interpreters_set, &queues_put, &channels_send, NULL};

#else

builtin_patch *const interpreter_patches[] = {NULL};

#endif
