/* monitoring/tool.h - our tool of sys.monitoring: its id, its callbacks, which events it has where.
 *
 * What both cores and the rest ask of it is in core/code_state.h; this is between it and the
 * callbacks. Threads, Must never know: see monitoring/tool.c. */
#ifndef COVSUP_MONITORING_TOOL_H
#define COVSUP_MONITORING_TOOL_H

#include "core/code_state.h"

#if COMPAT_MONITORING

/* Which function sees which event (monitoring/monitoring_core.c). */
typedef struct {
    const char *event; /* its name in sys.monitoring.events */
    PyMethodDef callback;
} monitoring_callback;

extern monitoring_callback monitoring_callbacks[];
extern const int monitoring_callback_count;

/* Give a code object the events of its own that its state asks for. -1: exception set. */
int monitoring_set_local_events(core *self, code_state *state);

#endif

#endif
