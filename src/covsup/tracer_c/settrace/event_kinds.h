/* settrace/event_kinds.h - what the bytecode says about the event of a trace function.
 *
 * Threads: with the interpreter's GIL.
 * Must never know: what is recorded. */
#ifndef COVSUP_SETTRACE_EVENT_KINDS_H
#define COVSUP_SETTRACE_EVENT_KINDS_H

#include "cpython/compat.h"

#include <stdbool.h>

/* Is a return event of `frame`, which runs a generator's or coroutine's code `bytes` (co_code), a
 * yield? */
bool event_is_yield(PyObject *bytes, PyFrameObject *frame);

/* An exception event at the offset `at` of `bytes` (co_code), with the argument `arg`: is the
 * exception control flow of its line (a raise statement, a `finally` that goes on, the end of a
 * loop or of an await), and not an interruption of the line? */
bool event_is_control_flow(PyObject *bytes, int at, PyObject *arg);

#endif
