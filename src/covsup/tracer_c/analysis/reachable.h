/* analysis/reachable.h - the lines and arcs that control can reach in a code object (3.11).
 *
 * Found from the bytecode: a superset of what can happen in a frame that no exception interrupts.
 * Everything else follows an exception that the code handles, and the trace function gets an event
 * of that exception first.
 *
 * Threads: an instance is protected by the GIL. Must never know: events, the journal. */
#ifndef COVSUP_ANALYSIS_REACHABLE_H
#define COVSUP_ANALYSIS_REACHABLE_H

#include "cpython/compat.h"

#include <stdbool.h>

#include "recorded/recorded.h"

typedef struct reachable reachable;

/* The lines (`branch`: the arcs) of `code`; NULL where they are not certain, or out of memory. Sets
 * no exception. */
reachable *reachable_new(PyCodeObject *code, bool branch);

void reachable_free(reachable *self);

/* Are all of them recorded for `file`? The search goes on at the one that was missing last time. */
bool reachable_is_recorded(reachable *self, const source_file *file);

#endif
