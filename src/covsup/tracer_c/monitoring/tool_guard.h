/* monitoring/tool_guard.h - the target sees sys.monitoring as if covsup used none of its tool ids.
 *
 * Threads: with the interpreter's GIL.
 * Must never know: what our tool does. */
#ifndef COVSUP_MONITORING_TOOL_GUARD_H
#define COVSUP_MONITORING_TOOL_GUARD_H

#include "core/core.h"

#if COMPAT_MONITORING

/* Under the monitoring core: patch every function of sys.monitoring that takes a tool id. -1 with
 * an exception set. */
int tool_guard_hide_tool(core *self);

/* Under the settrace core: measure the callbacks that the target registers, and hide the events of
 * our trace functions from sys.monitoring._all_events(). core->monitoring must be set. -1 with an
 * exception set. */
int tool_guard_measure_callbacks(core *self);

#endif
#endif
