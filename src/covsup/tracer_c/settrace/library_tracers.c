/* settrace/library_tracers.c - trace functions of libraries: greenlet's, and those in C.
 *
 * Threads, Must never know: see settrace/library_tracers.h. */
#include "settrace/library_tracers.h"

#include "cpython/target_callback.h"
#include "cpython/builtin_patch.h"
#include "core/interpreter.h"
#include "settrace/thread_trace.h"

/* greenlet has a trace function of its own. It too is called with tracing off. It is called at
 * every switch, also at those that a trace function makes. */

static PyObject *
greenlet_settrace_handler(const patched_call *call)
{
    PyObject *callback = patch_only_argument(call);
    PyObject *old = NULL;
    if (callback == NULL || callback == Py_None) {
        old = patch_call_original(call);
    } else {
        PyObject *wrapped = target_callback_wrap_nested(callback);
        old = wrapped != NULL ? patch_call_original_with(call, 0, NULL, wrapped) : NULL;
        Py_XDECREF(wrapped);
    }
    if (old != NULL) {
        Py_SETREF(old, target_callback_unwrap(old));
    }
    return old;
}

static PyObject *
greenlet_gettrace_handler(const patched_call *call)
{
    PyObject *callback = patch_call_original(call);
    if (callback != NULL) {
        Py_SETREF(callback, target_callback_unwrap(callback));
    }
    return callback;
}

PATCH(greenlet_settrace, "greenlet._greenlet", "settrace");
PATCH(greenlet_gettrace, "greenlet._greenlet", "gettrace");

PyObject *
library_tracers_install_greenlet(void)
{
    PyObject *skipped = PyList_New(0);
    if (skipped != NULL && (patch_install(&greenlet_settrace, skipped) < 0 ||
                            patch_install(&greenlet_gettrace, skipped) < 0)) {
        Py_CLEAR(skipped);
    }
    return skipped;
}

/* The original start() of the tracer's type. Protected by the GIL: CPython refuses coverage.py's
 * extension in interpreters that have a GIL of their own. */
static PyCFunction c_tracer_start;

static PyObject *
start_c_tracer(PyObject *tracer, PyObject *args)
{
    core *self = interpreter_core();
    PyObject *trace = NULL;
    if (self != NULL && self->settrace_event != NULL && thread_trace_is_active(self)) {
        trace = Py_NewRef(PyThreadState_Get()->c_traceobj);
    }
    PyObject *result = c_tracer_start(tracer, args);
    if (trace != NULL) {
        thread_trace_take_back((thread_trace *)trace);
        Py_DECREF(trace);
    }
    return result;
}

PyObject *
library_tracers_install_c_tracer(PyTypeObject *type)
{
    PyObject *start = PyObject_GetAttrString((PyObject *)type, "start");
    if (start == NULL) {
        PyErr_Clear(); /* not the tracer that we know */
    } else if (Py_IS_TYPE(start, &PyMethodDescr_Type)) {
        PyMethodDef *method = ((PyMethodDescrObject *)start)->d_method;
        if (method->ml_flags == METH_VARARGS && method->ml_meth != start_c_tracer) {
            c_tracer_start = method->ml_meth;
            method->ml_meth = start_c_tracer;
        }
    }
    bool patched = start != NULL && Py_IS_TYPE(start, &PyMethodDescr_Type) &&
                   ((PyMethodDescrObject *)start)->d_method->ml_meth == start_c_tracer;
    Py_XDECREF(start);
    return patched
               ? PyList_New(0)
               : Py_BuildValue("[s]", "CTracer.start: not the kind of method that covsup knows");
}
