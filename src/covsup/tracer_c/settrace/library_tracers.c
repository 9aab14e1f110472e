/* settrace/library_tracers.c - trace functions that the target gives to a library, or that a
 * library has.
 *
 * Threads: the functions run with the GIL; arming happens once, at an import.
 * Must never know: what is measured, and how. */
#include "settrace/library_tracers.h"

#include "cpython/target_callback.h"
#include "cpython/builtin_patch.h"
#include "settrace/target_tracer.h"

/* greenlet has a trace function of its own, called with tracing off too, and at every switch: also
 * at one that a trace function makes, itself or any other. */

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
    PyObject *refused = PyList_New(0);
    if (refused != NULL && (patch_install(&greenlet_settrace, refused) < 0 ||
                            patch_install(&greenlet_gettrace, refused) < 0)) {
        Py_CLEAR(refused);
    }
    return refused;
}

/* The start() of a tracer in C, as its type has it, and as it is called from now on. */

static PyCFunction c_tracer_start;

static PyObject *
start_c_tracer(PyObject *tracer, PyObject *args)
{
    core *self = interpreter_core();
    PyObject *trace = NULL;
    if (self != NULL && self->settrace_event != NULL && target_tracer_is_tracing(self)) {
        trace = Py_NewRef(PyThreadState_Get()->c_traceobj);
    }
    PyObject *result = c_tracer_start(tracer, args);
    if (trace != NULL) {
        target_tracer_take_back((thread_trace *)trace);
        Py_DECREF(trace);
    }
    return result;
}

PyObject *
library_tracers_install_c_tracer(PyTypeObject *type)
{
    PyObject *start = PyObject_GetAttrString((PyObject *)type, "start");
    if (start == NULL) {
        PyErr_Clear(); /* another tracer than we know */
    } else if (Py_IS_TYPE(start, &PyMethodDescr_Type)) {
        PyMethodDef *method = ((PyMethodDescrObject *)start)->d_method;
        if (method->ml_flags == METH_VARARGS && method->ml_meth != start_c_tracer) {
            c_tracer_start = method->ml_meth;
            method->ml_meth = start_c_tracer;
        }
    }
    bool armed = start != NULL && Py_IS_TYPE(start, &PyMethodDescr_Type) &&
                 ((PyMethodDescrObject *)start)->d_method->ml_meth == start_c_tracer;
    Py_XDECREF(start);
    return armed ? PyList_New(0)
                 : Py_BuildValue("[s]", "CTracer.start: it is no method that we know");
}
