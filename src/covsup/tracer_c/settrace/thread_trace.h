/* settrace/thread_trace.h - our trace function in a thread, and the target's that it calls.
 *
 * A thread has one trace function. Ours stays, and calls the target's as CPython would, but with
 * tracing on, so that the lines of the target's trace function are measured too.
 *
 * Threads: a thread_trace belongs to one thread, unless the target gave one tracer to several.
 * Must never know: what is measured, and how. */
#ifndef COVSUP_SETTRACE_THREAD_TRACE_H
#define COVSUP_SETTRACE_THREAD_TRACE_H

#include "core/core.h"
#include "settrace/frame_table.h"

/* The object that CPython passes to our trace (or profile) function. */
typedef struct thread_trace {
    PyObject_HEAD core *owner;
    PyObject *target;             /* owned: the target's function, or NULL */
    Py_tracefunc target_function; /* C code installed it: what is called with `target`; else NULL */
    bool installing;              /* the target's old function is being dropped */
    frame_table frames;           /* the settrace core's */
    bool sees_fired_events;       /* C code fired events in this thread (fired_events.h) */
} thread_trace;

/* Make the type. -1 with an exception set. */
int thread_trace_prepare(core *self);

/* A new object for a trace or profile function of the target's (NULL: none). NULL with an exception
 * set. */
thread_trace *thread_trace_new(core *self, PyObject *target);

/* Make `target` (stolen; NULL: none) the target's function. */
void thread_trace_set_target(thread_trace *self, PyObject *target, Py_tracefunc function);

/* Trace the calling thread with the core's trace function. -1 with an exception set. */
int thread_trace_start(core *self);

/* Under the settrace core: trace every thread of the interpreter with its trace function. What
 * traces a thread already becomes the target's function. -1 with an exception set. */
int thread_trace_start_all(core *self);

/* Under the settrace core: see that its trace function runs in the calling thread. What C code put
 * in its place becomes the target's function. `*known` is the trace object that the thread had
 * before (owned, or NULL); it becomes the one that it has now. -1 with an exception set. */
int thread_trace_keep(core *self, PyObject **known);

/* The same for a thread in which our trace function is just running. */
void thread_trace_take_back(thread_trace *self);

/* Does our trace function run in this thread? */
bool thread_trace_is_active(const core *self);

/* Does the target trace any thread of this interpreter (under the settrace core)? */
bool thread_trace_has_target(const core *self);

enum { THREAD_TRACE_JUMPED = 1 };

/* Call the target's function about an event, as sysmodule.c's trace_trampoline does. -1 with an
 * exception set; THREAD_TRACE_JUMPED where it moved the frame to another line (frame.f_lineno). */
int thread_trace_forward(thread_trace *self, PyFrameObject *frame, int what, PyObject *arg);

/* Call the target's trace or profile function `callback`. New reference, or NULL with an exception
 * set. */
PyObject *thread_trace_call_target(PyObject *callback, PyFrameObject *frame, int what,
                                   PyObject *arg);

#endif
