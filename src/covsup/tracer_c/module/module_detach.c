/* module/module_detach.c - the module's functions for attaching to a process and leaving it.
 *
 * detach() frees nothing that another thread may be using in the middle of a callback: the old core
 * and the states of code objects stay allocated. The next session gets a new core.
 *
 * Threads, Must never know: see module/module_detach.h. */
#include "module/module_detach.h"

#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "core/interpreter.h"
#include "cpython/builtin_patch.h"
#include "cpython/import_hook.h"
#include "journal/journal.h"
#include "module/module_core.h"
#include "monitoring/tool.h"
#include "process/session_variables.h"
#include "recorded/recorded.h"

#if COMPAT_MONITORING

/* Does the target trace or profile any thread? covsup then wraps its functions. */
static bool
target_traces(const core *self)
{
    bool traces = false;
    for (PyThreadState *thread = PyInterpreterState_ThreadHead(PyInterpreterState_Get());
         thread != NULL; thread = PyThreadState_Next(thread)) {
        PyObject *const objects[] = {thread->c_traceobj, thread->c_profileobj};
        for (size_t i = 0; i < 2; i++) {
            traces =
                traces || (objects[i] != NULL && Py_TYPE(objects[i]) == self->thread_trace_type);
        }
    }
    return traces;
}

/* Can the process become as it was? Trace functions are wrapped while the target has some, and its
 * tools of sys.monitoring have moved ours. Other interpreters have cores of their own. `self` is
 * NULL where the start failed before there was a core. */
static bool
can_detach(core *self)
{
    bool is_plain = self == NULL || (self->settrace_event == NULL && !self->target_uses_tools &&
                                     !target_traces(self));
    return is_plain && PyInterpreterState_Next(PyInterpreterState_Head()) == NULL;
}

static void
write_end(void)
{
    uint8_t how = ENDED_BY_DETACH;
    int32_t status = 0;
    char payload[sizeof(how) + sizeof(status)];
    memcpy(payload, &how, sizeof(how));
    memcpy(payload + sizeof(how), &status, sizeof(status));
    (void)journal_event(EVENT_ENDED, payload, sizeof(payload));
}

#endif

PyDoc_STRVAR(detach_doc, "detach()\n--\n\n"
                         "Leave the session: record nothing more, and undo every patch, also\n"
                         "those of a start that failed.\n\n"
                         "False: the program's own tracers make that impossible. Raises OSError "
                         "where a file\nof the journal stays mapped.");

static PyObject *
detach(PyObject *module, PyObject *unused)
{
#if COMPAT_MONITORING
    core *self = interpreter_core();
    if (!can_detach(self)) {
        Py_RETURN_FALSE;
    }
    if (module_new_core(module) < 0 ||
        (self != NULL && self->tool >= 0 && monitoring_stop_tool(self) < 0)) {
        return NULL;
    }
    interpreter_remove_core();
    import_hook_remove();
    patch_remove_all();
    environ_stop();
    write_end();
    int rc = journal_stop();
    recorded_forget_all();
    if (rc < 0) {
        return PyErr_SetFromErrno(PyExc_OSError);
    }
    Py_RETURN_TRUE;
#else
    Py_RETURN_FALSE;
#endif
}

PyDoc_STRVAR(stop_propagating_doc, "stop_propagating()\n--\n\n"
                                   "Pass the session on to no process any more.");

static PyObject *
stop_propagating(PyObject *module, PyObject *unused)
{
    environ_stop();
    Py_RETURN_NONE;
}

static const char mask_name[] = "covsup.signal_mask";

/* A pending call: raise an exception in the main thread. */
static int
raise_pending(void *exception)
{
    compat_restore_exception(exception); /* it takes the reference */
    return -1;
}

/* Restore the mask of signals. */
static void
release_signals(PyObject *capsule)
{
    sigset_t *before = PyCapsule_GetPointer(capsule, mask_name);
    PyObject *exception = PyCapsule_GetContext(capsule); /* owned, or NULL */
    if (exception != NULL && Py_AddPendingCall(raise_pending, exception) < 0) {
        Py_DECREF(exception); /* 32 calls are pending already */
    }
    (void)pthread_sigmask(SIG_SETMASK, before, NULL);
    free(before);
}

/* The signals in a list of numbers. -1 with an exception set. */
static int
convert_signals(PyObject *numbers, sigset_t *set)
{
    (void)sigemptyset(set);
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(numbers); i++) {
        long number = PyLong_AsLong(PyList_GET_ITEM(numbers, i));
        if (number == -1 && PyErr_Occurred()) {
            return -1;
        }
        (void)sigaddset(set, number > 0 && number <= INT_MAX ? (int)number : 0); /* checks it */
    }
    return 0;
}

PyDoc_STRVAR(hold_signals_doc,
             "hold_signals(blocked)\n--\n\n"
             "Block all signals in this thread until the object that is returned is dropped.\n\n"
             "Then the numbers in the list `blocked` are blocked. An exception that a signal\n"
             "handler raises in covsup's code would be lost.");

static PyObject *
hold_signals(PyObject *module, PyObject *blocked)
{
    if (!PyList_Check(blocked)) {
        return PyErr_Format(PyExc_TypeError, "a list of signals is expected, not %R", blocked);
    }
    sigset_t all, *before = malloc(sizeof(*before));
    if (before == NULL) {
        return PyErr_NoMemory();
    }
    if (convert_signals(blocked, before) < 0) {
        free(before);
        return NULL;
    }
    PyObject *capsule = PyCapsule_New(before, mask_name, release_signals);
    if (capsule == NULL) {
        free(before);
        return NULL;
    }
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, NULL);
    return capsule;
}

PyDoc_STRVAR(raise_afterwards_doc,
             "raise_afterwards(held, exception)\n--\n\n"
             "Raise the exception in the main thread once `held` from hold_signals() is dropped.");

static PyObject *
raise_afterwards(PyObject *module, PyObject *args)
{
    PyObject *held, *exception;
    if (!PyArg_ParseTuple(args, "OO", &held, &exception)) {
        return NULL;
    }
    if (!PyExceptionInstance_Check(exception) || !PyCapsule_IsValid(held, mask_name)) {
        PyErr_SetString(PyExc_TypeError, "raise_afterwards() takes an object of hold_signals() and "
                                         "an exception");
        return NULL;
    }
    PyObject *before = PyCapsule_GetContext(held); /* owned, or NULL */
    (void)PyCapsule_SetContext(held, Py_NewRef(exception));
    Py_XDECREF(before);
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"detach", detach, METH_NOARGS, detach_doc},
    {"stop_propagating", stop_propagating, METH_NOARGS, stop_propagating_doc},
    {"hold_signals", hold_signals, METH_O, hold_signals_doc},
    {"raise_afterwards", raise_afterwards, METH_VARARGS, raise_afterwards_doc},
    {NULL, NULL, 0, NULL},
};

int
module_detach_add(PyObject *module)
{
    return PyModule_AddFunctions(module, methods);
}
