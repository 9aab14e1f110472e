/* settrace/target_tracer.h - the target's own trace and profile functions.
 *
 * sys.settrace and sys.setprofile give them to us; they are called as CPython calls them, but
 * measured while they run, and the target sees them where it would see them plainly.
 *
 * Threads: a thread_trace belongs to one thread, unless the target gave one tracer to all.
 * Must never know: what is measured, and how. */
#ifndef COVSUP_SETTRACE_TARGET_TRACER_H
#define COVSUP_SETTRACE_TARGET_TRACER_H

#include "core/code_state.h"
#include "settrace/frame_table.h"

typedef struct {
    PyObject_HEAD core *owner;
    PyObject *user;             /* owned: the target's function, or NULL */
    Py_tracefunc user_function; /* where C code installed `user`: what is called with it */
    bool installing;            /* an older function is being dropped */
    frame_table frames;         /* the settrace core's */
    bool sees_fired_events;     /* C code fired events in this thread (monitoring/fired_events.h) */
} thread_trace;

/* Take over sys.settrace and its kin; `on_event` is the trace function to install, NULL for one
 * that does nothing but call the target's. -1 with an exception set. */
int target_tracer_install(core *self, Py_tracefunc on_event);

/* Trace the calling thread with the core's trace function; -1 with an exception set. */
int target_tracer_trace_thread(core *self);

/* Trace every thread of the interpreter with the settrace core's trace function, whatever traces it
 * now: that is called from ours. -1 with an exception set. */
int target_tracer_trace_all_threads(core *self);

/* The settrace core's trace function runs in the calling thread, whatever C code installed there,
 * and calls that. `known` is the trace object that it had before, or NULL; it becomes the one that
 * it has. -1 with an exception set. */
int target_tracer_keep_ours(core *self, PyObject **known);

/* Lines of frames of this thread may have run unseen: tell at which they are
 * (settrace/settrace_core.c). */
void settrace_record_positions(thread_trace *trace);

/* Does our trace function run in this thread? */
bool target_tracer_is_tracing(const core *self);

/* Under the settrace core: does the target trace any thread of this interpreter? */
bool target_tracer_is_anywhere(const core *self);

/* Under the settrace core: C code may have put its own trace function in the place of ours, or
 * none. Ours goes back, and that one becomes the target's. */
void target_tracer_take_back(thread_trace *self);

enum { TARGET_TRACER_JUMPED = 1 };

/* Call the target's tracer about an event, as sysmodule.c's trace_trampoline does. -1 with an
 * exception set; TARGET_TRACER_JUMPED where it made the frame go on elsewhere (frame.f_lineno). */
int target_tracer_forward(thread_trace *self, PyFrameObject *frame, int what, PyObject *arg);

#endif
