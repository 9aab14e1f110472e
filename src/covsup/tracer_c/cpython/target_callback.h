/* cpython/target_callback.h - call what the target has registered to watch itself, so that it is
 * measured too.
 *
 * CPython runs trace and profile functions, callbacks of sys.monitoring and greenlet's trace
 * function with all tracing switched off in their thread. Their lines are the target's as any
 * other: here they run with tracing on, while the target's own watchers go on seeing nothing of
 * them.
 *
 * Threads: what runs is counted per thread.
 * Must never know: what is recorded of the lines. */
#ifndef COVSUP_CPYTHON_TARGET_CALLBACK_H
#define COVSUP_CPYTHON_TARGET_CALLBACK_H

#include "cpython/compat.h"

#include <stdbool.h>

/* Call `callable` as one of the target's watchers. New reference, or NULL with an exception. */
PyObject *target_callback_call(PyObject *callable, PyObject *const *args, size_t nargs);

/* Is one of the target's watchers running in this thread? Then none of the others is called. */
bool target_callback_is_running(void);

/* The target traces what its watcher calls (sys.call_tracing): as if none were running, until
 * target_callback_resume() gets what target_callback_suspend() returned. */
int target_callback_suspend(void);
void target_callback_resume(int running);

/* A stand-in that calls `callable` by target_callback_call(), or returns None while a watcher runs.
 */
PyObject *target_callback_wrap(PyObject *callable);

/* One that calls it also then: for a watcher that is told of what other watchers do. */
PyObject *target_callback_wrap_nested(PyObject *callable);

/* What a stand-in stands for; any other object itself. New reference; steals nothing. */
PyObject *target_callback_unwrap(PyObject *object);

#endif
