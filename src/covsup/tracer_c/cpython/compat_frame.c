/* cpython/compat_frame.c - fields of a frame for which CPython has no function.
 *
 * To set the attribute frame.f_trace also enables opcode events (3.12 and later). The result of a
 * trace function does not, so covsup writes the field.
 *
 * Threads: with an attached thread state, on a frame of the calling thread.
 * Must never know: what the field is used for. */
#define Py_BUILD_CORE_MODULE 1

#include "cpython/compat.h"

#include <internal/pycore_frame.h>

PyObject *
compat_frame_tracer(PyFrameObject *frame)
{
    return frame->f_trace;
}

void
compat_set_frame_tracer(PyFrameObject *frame, PyObject *tracer)
{
    PyObject *old = frame->f_trace;
    frame->f_trace = tracer;
    Py_XDECREF(old);
}

PyObject *
compat_frame_variable(PyFrameObject *frame, const char *name)
{
#if PY_VERSION_HEX >= 0x030C0000
    PyObject *value = PyFrame_GetVarString(frame, (char *)name);
#else
    PyObject *locals = PyFrame_GetLocals(frame); /* owned */
    PyObject *value = locals != NULL ? PyMapping_GetItemString(locals, name) : NULL;
    Py_XDECREF(locals);
#endif
    PyErr_Clear(); /* the variable has no value yet */
    return value;
}

bool
compat_frame_has_locals(PyFrameObject *frame)
{
#if COMPAT_LOCALS_SNAPSHOT != COMPAT_LOCALS_NEVER
    return frame->f_frame->f_locals != NULL;
#else
    return true;
#endif
}

void
compat_frame_forget_locals(PyFrameObject *frame)
{
#if COMPAT_LOCALS_SNAPSHOT != COMPAT_LOCALS_NEVER
    Py_CLEAR(frame->f_frame->f_locals);
#endif
}
