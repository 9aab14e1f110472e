/* settrace/settrace_core.h - execution events from a C trace function in every thread.
 *
 * Threads: with the interpreter's GIL.
 * Must never know: adapters, the layout of the journal. */
#ifndef COVSUP_SETTRACE_SETTRACE_CORE_H
#define COVSUP_SETTRACE_SETTRACE_CORE_H

#include "core/core.h"

/* Start measuring, in the calling thread. -1 with an exception set. */
int settrace_start(core *self);

/* Go on by trace functions, in all threads, where the monitoring core cannot. -1 with an exception
 * set. */
int settrace_take_over(core *self);

/* The line that `frame` of this thread is on counts as recorded. */
void settrace_measure_frame(core *self, PyFrameObject *frame);

/* To be called first in every new thread, under either core: sys.monitoring needs nothing. -1 with
 * an exception set. */
int settrace_on_thread_start(void);

#endif
