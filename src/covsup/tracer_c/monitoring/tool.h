/* monitoring/tool.h - our tool of sys.monitoring: its id, and which events it has where.
 *
 * Threads: with the interpreter's GIL. The functions that change the events of many code objects
 * first make a list of these with the core's lock held, and then release it: sys.monitoring's
 * functions allocate, and a code object that dies takes the lock.
 * Must never know: what the events mean. */
#ifndef COVSUP_MONITORING_TOOL_H
#define COVSUP_MONITORING_TOOL_H

#include "core/code_state.h"

#if COMPAT_MONITORING

/* Which function gets which event. */
typedef struct monitoring_callback {
    const char *event; /* its name in sys.monitoring.events */
    PyMethodDef callback;
} monitoring_callback;

/* Take a tool id, and register the `count` callbacks for it. -1 with an exception set. */
int monitoring_start_tool(core *self, monitoring_callback *callbacks, int count);

/* Give a code object the events that its state asks for. -1 with an exception set. */
int monitoring_set_local_events(core *self, code_state *state);

/* Events that were disabled for a code object are sent again. -1 with an exception set. */
int monitoring_restart_code(core *self, code_state *state);

/* The same for every code object. */
int monitoring_restart_all(core *self);

/* Code of suspended generators and coroutines has no PY_START event left when measurement begins
 * late: ask for their PY_RESUME and PY_THROW too. -1 with an exception set. */
int monitoring_await_resumed(core *self);

/* The target is about to ask for INSTRUCTION events everywhere. Ask for them too: CPython forgets a
 * tool's INSTRUCTION events where another tool has LINE events, but keeps them where two tools have
 * them from the start. -1 with an exception set. */
int monitoring_share_instructions(core *self);

/* Move to another tool id, because the target asks for ours. Where none is left, the settrace core
 * takes over (core->take_over). -1 with an exception set. */
int monitoring_change_tool(core *self);

/* Give the tool id back, with the events of all code. -1 with an exception set. */
int monitoring_stop_tool(core *self);

/* Under the settrace core: make CPython's own tool see the suspended frames of `code` that no
 * thread state has (of greenlets). -1 with an exception set. */
int monitoring_rewrite_suspended(core *self, PyCodeObject *code);

#endif
#endif
