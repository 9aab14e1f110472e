/* process/thread_start.c - each new thread is measured from its first line.
 *
 * Under sys.monitoring there is nothing to do in a new thread: threads are counted, and the
 * target's function is started as it is. The settrace core must be told in the thread itself, so
 * the thread is started with a callable of ours, which then calls the target's function. So it is
 * under either core where a context is current: the thread belongs to it.
 *
 * Threads: the wrapped functions on the thread that starts another; begin() on the new one.
 * Must never know: which core there is. */
#include "process/exec_spawn_fork.h"

#include "contexts/contexts.h"
#include "core/interpreter.h"
#include "cpython/compat_threads.h"
#include "journal/journal.h"
#include "settrace/settrace_core.h"

/* What a thread that has a context begins with. */
enum { BEGIN_FUNCTION, BEGIN_CHAIN, BEGIN_NAME, BEGIN_ITEMS };

static PyObject *call_thread_function(PyObject *function, PyObject *args, PyObject *keywords);

static PyObject *
run_in_context(PyObject *what, PyObject *args, PyObject *keywords)
{
    core *self = interpreter_core();
    PyObject *chain = PyTuple_GET_ITEM(what, BEGIN_CHAIN),
             *name = PyTuple_GET_ITEM(what, BEGIN_NAME);
    if (self != NULL) {
        contexts_thread_start(self, chain != Py_None ? chain : NULL, name != Py_None ? name : NULL);
    }
    PyObject *result = call_thread_function(PyTuple_GET_ITEM(what, BEGIN_FUNCTION), args, keywords);
    contexts_thread_end();
    return result;
}

static PyMethodDef run_in_context_definition = {
    "begin", (PyCFunction)(void (*)(void))run_in_context, METH_VARARGS | METH_KEYWORDS, NULL};

static PyObject *
begin(PyObject *function, PyObject *args, PyObject *keywords)
{
    return call_thread_function(function, args, keywords);
}

static PyMethodDef run_definition = {"begin", (PyCFunction)(void (*)(void))begin,
                                     METH_VARARGS | METH_KEYWORDS, NULL};

/* The name of the thread that runs `function`: a Thread's own, or a number. NULL: exception set. */
static PyObject *
thread_name(PyObject *function)
{
    static _Atomic unsigned numbered;
    PyObject *name = NULL;
    if (PyMethod_Check(function)) {
        PyObject *attribute = PyUnicode_InternFromString("_name"); /* owned */
        if (attribute == NULL) {
            return NULL;
        }
        name = PyObject_GenericGetAttr(PyMethod_GET_SELF(function), attribute);
        Py_DECREF(attribute);
        if (name != NULL && PyUnicode_Check(name)) {
            return name;
        }
        Py_XDECREF(name);
        PyErr_Clear(); /* no Thread */
    }
    return PyUnicode_FromFormat("thread-%u", atomic_fetch_add(&numbered, 1) + 1);
}

/* Our callable that runs `function` where it must be told of the thread; NULL without an exception
 * where it need not, or with one. */
static PyObject *
wrapped_callable(PyObject *function)
{
    core *self = interpreter_core();
    PyObject *chain = NULL, *name = NULL, *what = NULL, *ours = NULL; /* owned */
    if (self == NULL) {
        return NULL;
    }
    if (self->records_contexts) {
        chain = contexts_inherited_without(
            self, KIND_BIT(SEGMENT_THREAD) | KIND_BIT(SEGMENT_GREENLET) | KIND_BIT(SEGMENT_TASK));
        if (contexts_kind_enabled(self, SEGMENT_THREAD) && (name = thread_name(function)) == NULL) {
            goto done;
        }
        if (chain != NULL || name != NULL) {
            what = Py_BuildValue("(OOO)", function, chain != NULL ? chain : Py_None,
                                 name != NULL ? name : Py_None);
            ours = what != NULL ? PyCFunction_New(&run_in_context_definition, what) : NULL;
            goto done;
        }
    }
    if (self->settrace_event != NULL) {
        ours = PyCFunction_New(&run_definition, function);
    }
done:
    Py_XDECREF(chain);
    Py_XDECREF(name);
    Py_XDECREF(what);
    return ours;
}

/* `function` is the target's. What it raises is reported here, in the words of _thread: one level
 * up it would be told of our callable instead. */
static PyObject *
call_thread_function(PyObject *function, PyObject *args, PyObject *keywords)
{
    static const char unmeasured[] = "a thread could not be measured";
    if (settrace_on_thread_start() < 0) {
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

static PyObject *
start_thread(const patched_call *call)
{
    PyObject *function = Py_XNewRef(patch_argument(call, 0, "function")); /* owned */
    PyObject *ours = function != NULL && PyCallable_Check(function) ? wrapped_callable(function)
                                                                    : NULL; /* owned */
    Py_XDECREF(function);
    if (ours == NULL && PyErr_Occurred()) {
        return NULL;
    }
    PyObject *result = ours == NULL ? patch_call_original(call)
                                    : patch_call_original_with(call, 0, "function", ours);
    if (result != NULL) {
        journal_thread_started();
    }
    Py_XDECREF(ours);
    return result;
}
#define start_new_thread_handler start_thread
#define start_new_handler start_thread
#define start_joinable_thread_handler start_thread

PATCH(start_new_thread, "_thread", "start_new_thread");
PATCH(start_new, "_thread", "start_new");
PATCH(start_joinable_thread, "_thread", "start_joinable_thread");

builtin_patch *const thread_patches[] = {&start_new_thread, &start_new, &start_joinable_thread,
                                         NULL};
