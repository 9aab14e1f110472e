/* cpython/target_callback.c - call and measure the target's callbacks. See target_callback.h.
 *
 * A greenlet may switch inside a callback. Until it is switched to again, the other callbacks of
 * its thread are not called: CPython, too, counts per thread. Must never know: what is recorded of
 * the lines. */
#include "cpython/target_callback.h"

static _Thread_local int running;

bool
target_callback_is_running(void)
{
    return running > 0;
}

int
target_callback_suspend(void)
{
    int saved = running;
    running = 0;
    return saved;
}

void
target_callback_resume(int saved)
{
    running = saved;
}

PyObject *
target_callback_call(PyObject *callable, PyObject *const *args, size_t nargs)
{
    PyThreadState *thread = PyThreadState_Get();
    int levels = thread->tracing;
    for (int i = 0; i < levels; i++) {
        PyThreadState_LeaveTracing(thread);
    }
    running++;
    Py_INCREF(callable); /* it may unregister itself, and CPython holds no reference for the call */
    PyObject *result = PyObject_Vectorcall(callable, args, nargs, NULL);
    Py_DECREF(callable);
    running--;
    for (int i = 0; i < levels; i++) {
        PyThreadState_EnterTracing(thread);
    }
    return result;
}

/* A stand-in is a builtin function whose `self` is the callable, so no new type is needed. */

static PyObject *
nested_stand_in(PyObject *callable, PyObject *const *args, Py_ssize_t nargs)
{
    return target_callback_call(callable, args, (size_t)nargs);
}

static PyObject *
stand_in(PyObject *callable, PyObject *const *args, Py_ssize_t nargs)
{
    if (target_callback_is_running()) {
        Py_RETURN_NONE;
    }
    return nested_stand_in(callable, args, nargs);
}

static PyMethodDef stand_in_method = {"callback", (PyCFunction)(void (*)(void))stand_in,
                                      METH_FASTCALL, NULL};
static PyMethodDef nested_method = {"callback", (PyCFunction)(void (*)(void))nested_stand_in,
                                    METH_FASTCALL, NULL};

PyObject *
target_callback_wrap(PyObject *callable)
{
    return PyCFunction_New(&stand_in_method, callable);
}

PyObject *
target_callback_wrap_nested(PyObject *callable)
{
    return PyCFunction_New(&nested_method, callable);
}

PyObject *
target_callback_unwrap(PyObject *object)
{
    if (PyCFunction_CheckExact(object)) {
        const PyMethodDef *method = ((PyCFunctionObject *)object)->m_ml;
        if (method == &stand_in_method || method == &nested_method) {
            return Py_NewRef(PyCFunction_GET_SELF(object));
        }
    }
    return Py_NewRef(object);
}
