/* settrace/event_kinds.c - what the bytecode says about the event of a trace function.
 *
 * Threads, Must never know: see settrace/event_kinds.h. */
#include "settrace/event_kinds.h"

bool
event_is_yield(PyObject *bytes, PyFrameObject *frame)
{
    Py_ssize_t size = PyBytes_GET_SIZE(bytes);
    Py_ssize_t at = PyFrame_GetLasti(frame);
    if (at == size - 2) {
        return false;
    }
    if (!COMPAT_LASTI_AT_RESUME) {
        at += 2;
    }
    return at >= 0 && at < size && (uint8_t)PyBytes_AS_STRING(bytes)[at] == RESUME;
}

bool
event_is_control_flow(PyObject *bytes, int at, PyObject *arg)
{
    const uint8_t *ops = (const uint8_t *)PyBytes_AS_STRING(bytes);
    if (at < 0 || at >= PyBytes_GET_SIZE(bytes)) {
        return false;
    }
    if (ops[at] == RAISE_VARARGS || ops[at] == RERAISE) {
        return true;
    }
    if (arg == NULL || !PyTuple_Check(arg) || PyTuple_GET_SIZE(arg) == 0) {
        return false;
    }
    PyObject *type = PyTuple_GET_ITEM(arg, 0);
    if (!PyErr_GivenExceptionMatches(type, PyExc_StopIteration) &&
        !PyErr_GivenExceptionMatches(type, PyExc_StopAsyncIteration)) {
        return false;
    }
    /* A frame that awaits another one is at the SEND or a little after it. */
#ifdef END_SEND
    if (ops[at] == END_SEND) {
        return true;
    }
#endif
#ifdef END_FOR
    if (ops[at] == END_FOR) { /* 3.13: the loop over a generator has already jumped */
        return true;
    }
#endif
    for (int back = at; back >= 0 && back >= at - 6; back -= 2) {
        if (ops[back] == FOR_ITER || ops[back] == SEND || ops[back] == GET_ANEXT) {
            return true;
        }
    }
    return false;
}
