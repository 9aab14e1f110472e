/* settrace/target_tracer.h - sys.settrace, sys.setprofile and their kin, as the target calls them.
 *
 * The target finds the objects and sees the effects that it would see without covsup.
 *
 * Threads: with the interpreter's GIL.
 * Must never know: what is measured, and how. */
#ifndef COVSUP_SETTRACE_TARGET_TRACER_H
#define COVSUP_SETTRACE_TARGET_TRACER_H

#include "core/core.h"

/* Patch these functions. `on_event` is the settrace core's trace function; NULL: the monitoring
 * core needs none, and ours only calls the target's. -1 with an exception set. */
int target_tracer_install(core *self, Py_tracefunc on_event);

#endif
