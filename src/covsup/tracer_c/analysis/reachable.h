/* analysis/reachable.h - what a code object may still tell: the lines and arcs that control can
 * reach in it.
 *
 * A superset of what can happen in a frame where no exception interrupts anything, from the
 * bytecode. What is not in it needs an exception that the code handles, and of that a trace
 * function is told first.
 *
 * Threads: an instance is under the GIL. Must never know: events, the journal. */
#ifndef COVSUP_ANALYSIS_REACHABLE_H
#define COVSUP_ANALYSIS_REACHABLE_H

#include "cpython/compat.h"

#include <stdbool.h>

#include "recorded/recorded.h"

typedef struct reach reach;

/* For `code`, lines or arcs; NULL where that is not certain, or memory is short. */
reach *reachable_new(PyCodeObject *code, bool branch);

void reachable_free(reach *self);

/* Is all of it told, of `file`? Quick to say no: it goes on where it last met what was not. */
bool reachable_is_recorded(reach *self, const source_file *file);

#endif
