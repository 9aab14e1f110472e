/* cpython/target_callback.h - call the target's own trace callbacks, and measure them.
 *
 * CPython runs trace and profile functions, callbacks of sys.monitoring and greenlet's trace
 * function with all tracing off in their thread. But their lines are lines of the target. So they
 * are called here with tracing on, while the target's other callbacks still see nothing of them.
 *
 * Threads: running callbacks are counted per thread.
 * Must never know: what is recorded of the lines. */
#ifndef COVSUP_CPYTHON_TARGET_CALLBACK_H
#define COVSUP_CPYTHON_TARGET_CALLBACK_H

#include "cpython/compat.h"

#include <stdbool.h>

/* Call one of the target's callbacks. New reference, or NULL with an exception. */
PyObject *target_callback_call(PyObject *callable, PyObject *const *args, size_t nargs);

/* Is one of the target's callbacks running in this thread? Then no other may be called. */
bool target_callback_is_running(void);

/* The target traces what its callback calls (sys.call_tracing): act as if none were running, until
 * target_callback_resume() gets what target_callback_suspend() returned. */
int target_callback_suspend(void);
void target_callback_resume(int running);

/* A stand-in that calls `callable` by target_callback_call(), or returns None while another
 * callback runs. */
PyObject *target_callback_wrap(PyObject *callable);

/* One that always calls it: for a callback that also sees what other callbacks do. */
PyObject *target_callback_wrap_nested(PyObject *callable);

/* The callable of a stand-in; any other object itself. New reference; steals nothing. */
PyObject *target_callback_unwrap(PyObject *object);

#endif
