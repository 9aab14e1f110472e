/* hooks_thread.c - each new thread is measured from its first line.
 *
 * Under sys.monitoring there is nothing to do in a new thread: threads are counted, and the
 * target's function is started as it is. The settrace core must be told in the thread itself, so
 * the thread is started with a callable of ours, which then calls the target's function.
 *
 * Threads: the wrapped functions on the thread that starts another; begin() on the new one.
 * Must never know: which core there is. */
#include "hooks_process.h"

#include "core.h"
#include "hooks_compat.h"
#include "journal.h"

/* Whether the interpreter is measured by the core that must be told of each thread. */
static bool
core_waits_for_threads(void)
{
    core *self = core_of_interpreter();
    return self != NULL && self->settrace_event != NULL;
}

/* `function` is the target's. What it raises is reported here, in the words of _thread: one level
 * up it would be told of our callable instead. */
static PyObject *
begin(PyObject *function, PyObject *args, PyObject *keywords)
{
    static const char unmeasured[] = "a thread could not be measured";
    if (core_thread_begins() < 0) {
        PyErr_Clear();
        (void)journal_event(EVENT_NOTE, unmeasured, sizeof(unmeasured) - 1);
    }
    PyObject *result = PyObject_Call(function, args, keywords); /* owned */
    if (result == NULL) {
        if (PyErr_ExceptionMatches(PyExc_SystemExit)) {
            PyErr_Clear();
        } else {
            compat_report_thread_exception(function);
        }
        Py_RETURN_NONE;
    }
    return result;
}

static PyMethodDef begin_definition = {"begin", (PyCFunction)(void (*)(void))begin,
                                       METH_VARARGS | METH_KEYWORDS, NULL};

static PyObject *
start_thread(const hook_call *call)
{
    PyObject *function = hook_argument(call, 0, "function");
    PyObject *ours = NULL; /* owned */
    if (function != NULL && PyCallable_Check(function) && core_waits_for_threads()) {
        ours = PyCFunction_New(&begin_definition, function);
        if (ours == NULL) {
            return NULL;
        }
    }
    PyObject *result =
        ours == NULL ? hook_original(call) : hook_original_with(call, 0, "function", ours);
    if (result != NULL) {
        journal_thread_started();
    }
    Py_XDECREF(ours);
    return result;
}
#define start_new_thread_handler start_thread
#define start_joinable_thread_handler start_thread

HOOK(start_new_thread, "_thread", "start_new_thread");
/* Another object with the same C function: the two stay equal. */
static hook start_new = {
    .module = "_thread", .name = "start_new", .entries = &start_new_thread_entries};
HOOK(start_joinable_thread, "_thread", "start_joinable_thread");

hook *const thread_hooks[] = {&start_new_thread, &start_new, &start_joinable_thread, NULL};
