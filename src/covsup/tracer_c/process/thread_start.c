/* process/thread_start.c - measure each new thread, in the context that started it.
 *
 * sys.monitoring needs nothing in a new thread: it is counted, and the target's function starts
 * as it is. The settrace core has to be installed in the thread itself, so the thread starts with a
 * callable of covsup's, which calls the target's function. The same callable takes a context to the
 * thread, under either core.
 *
 * Threads: the patched functions run on the thread that starts another, run() on the new one.
 * Must never know: which core there is. */
#include "process/patches.h"

#include "contexts/contexts.h"
#include "core/interpreter.h"
#include "cpython/compat_threads.h"
#include "journal/journal.h"
#include "settrace/settrace_core.h"

/* The items of the tuple that run_in_context() gets as its `self`. */
enum { START_FUNCTION, START_CHAIN, START_NAME };

static PyObject *call_thread_function(PyObject *function, PyObject *args, PyObject *keywords);

static PyObject *
run_in_context(PyObject *what, PyObject *args, PyObject *keywords)
{
    core *self = interpreter_core();
    PyObject *chain = PyTuple_GET_ITEM(what, START_CHAIN),
             *name = PyTuple_GET_ITEM(what, START_NAME);
    if (self != NULL) {
        contexts_thread_start(self, chain != Py_None ? chain : NULL, name != Py_None ? name : NULL);
    }
    PyObject *result = call_thread_function(PyTuple_GET_ITEM(what, START_FUNCTION), args, keywords);
    contexts_thread_end();
    return result;
}

static PyMethodDef run_in_context_definition = {
    "begin", (PyCFunction)(void (*)(void))run_in_context, METH_VARARGS | METH_KEYWORDS, NULL};

static PyObject *
run(PyObject *function, PyObject *args, PyObject *keywords)
{
    return call_thread_function(function, args, keywords);
}

static PyMethodDef run_definition = {"begin", (PyCFunction)(void (*)(void))run,
                                     METH_VARARGS | METH_KEYWORDS, NULL};

/* The name of the thread that will run `function`: of its threading.Thread, else a number. NULL:
 * exception set. */
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
        PyErr_Clear(); /* a method of something else */
    }
    return PyUnicode_FromFormat("thread-%u", atomic_fetch_add(&numbered, 1) + 1);
}

/* A callable that prepares the thread and then calls `function`. NULL without an exception: nothing
 * has to be prepared. */
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

/* Call the target's function. An exception is reported here, as _thread does it: _thread itself
 * would name covsup's callable. */
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
