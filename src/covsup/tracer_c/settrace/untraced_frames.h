/* settrace/untraced_frames.h - frames without events, because their code is fully recorded (3.11).
 *
 * On Linux, with --core=settrace-fast. CPython 3.11 sends the events of every frame of a thread or
 * of none. A frame evaluator (PEP 523) turns them off for a frame whose code is excluded or fully
 * recorded (analysis/reachable.h), and on again for the frames that it calls. An exception in an
 * untraced frame sends an event all the same, and from then on the frame has its events, because a
 * handler of the exception may be new.
 *
 * Threads: with the GIL. Must never know: how lines are recorded. */
#ifndef COVSUP_SETTRACE_UNTRACED_FRAMES_H
#define COVSUP_SETTRACE_UNTRACED_FRAMES_H

#include "core/code_state.h"

#if !COMPAT_MONITORING && defined(__linux__)

/* Begin, and set core->stop_untraced, which ends it for good. False where this interpreter cannot:
 * the target has a tracer or contexts are recorded, somebody else evaluates frames, or it is not
 * the main interpreter. */
bool untraced_start(core *self);

/* The trace function was just called for `frame`: send it no more events. False where that cannot
 * be: the target has a profile function, or no evaluator runs the frame (Cython makes such frames).
 */
bool untraced_begin_frame(core *self, const PyFrameObject *frame);

/* An event has come for `frame`, which has its events from now on. Was it untraced? To be asked
 * also after the end, while core->has_untraced_frames is set. */
bool untraced_end_frame(const PyFrameObject *frame);

/* Check whether `state` is fully recorded. Sets no exception. */
void untraced_recheck(core *self, code_state *state);

#else

static inline bool
untraced_start(core *self)
{
    (void)self;
    return false;
}

static inline bool
untraced_begin_frame(core *self, const PyFrameObject *frame)
{
    (void)self;
    (void)frame;
    return false;
}

static inline bool
untraced_end_frame(const PyFrameObject *frame)
{
    (void)frame;
    return false;
}

static inline void
untraced_recheck(core *self, code_state *state)
{
    (void)self;
    (void)state;
}

#endif
#endif
