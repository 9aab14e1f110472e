/* core/running_frames.h - measure the frames that already run when measurement begins.
 *
 * Threads: with an attached thread state.
 * Must never know: how a core or the journal does its work. */
#ifndef COVSUP_CORE_RUNNING_FRAMES_H
#define COVSUP_CORE_RUNNING_FRAMES_H

#include "core/core.h"

/* Measure what `frame` of the calling thread executes from now on. Its current line counts as
 * executed, because the frame goes on with it. -1 with an exception set. */
int running_frames_measure_one(core *self, PyFrameObject *frame);

/* The same for `frame`, its callers, the frames of all other threads of this interpreter, and all
 * suspended generators, coroutines and greenlets. -1 with an exception set. */
int running_frames_measure(core *self, PyFrameObject *frame);

#endif
