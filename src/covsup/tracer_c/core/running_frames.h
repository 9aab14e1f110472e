/* core/running_frames.h - measure the frames that run already when measurement begins.
 *
 * Threads: with an attached thread state.
 * Must never know: how a core or the journal does its work. */
#ifndef COVSUP_CORE_RUNNING_FRAMES_H
#define COVSUP_CORE_RUNNING_FRAMES_H

#include "core/code_state.h"

/* Measure what `frame` of the calling thread executes from now on. Its current line counts as
 * executed: it goes on. -1 with an exception set. */
int running_frames_measure_one(core *self, PyFrameObject *frame);

/* The same for `frame`, its callers, the frames of all other threads of this interpreter, and all
 * suspended generators, coroutines and greenlets. -1 with an exception set. */
int running_frames_measure(core *self, PyFrameObject *frame);

#endif
