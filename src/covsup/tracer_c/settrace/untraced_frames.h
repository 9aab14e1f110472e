/* settrace/untraced_frames.h - frames that run without events, as their code has nothing left to
 * tell (3.11).
 *
 * There the interpreter sends events of every frame or of none. A frame evaluator (PEP 523)
 * switches them off for a frame whose code is not measured, or whose lines and arcs are all told
 * (analysis/reachable.h), and on again for the frames that it calls. An exception sends an event
 * all the same; from then on the frame has its events, since what handles it may be new.
 *
 * Threads: with the GIL. Must never know: how facts are told. */
#ifndef COVSUP_SETTRACE_UNTRACED_FRAMES_H
#define COVSUP_SETTRACE_UNTRACED_FRAMES_H

#include "core/code_state.h"

/* Begin; false where this interpreter, or this Python, cannot. */
bool untraced_start(core *self);

/* All frames have their events from now on, for good: those that run already, too. For what must
 * see them all: a tracer of the target's, contexts, greenlets, another frame evaluator. */
void untraced_stop(core *self);

/* Is it on? */
bool untraced_is_on(const core *self);

/* Trace also the threads that C code creates; false where it is not on. */
bool untraced_keeps_threads(const core *self);

/* No more events in `frame`, for which the trace function was just called; false where it has to
 * have them, as where a profile function of the target's wants them, or where no interpreter runs
 * it (Cython makes such frames). */
bool untraced_begin_frame(core *self, const PyFrameObject *frame);

/* An event is sent for `frame`, which has its events from now on: had it none until now? Also after
 * untraced_stop(). */
bool untraced_end_frame(const PyFrameObject *frame);

/* Look whether `state` has anything left to tell. */
void untraced_recheck(core *self, code_state *state);

#endif
