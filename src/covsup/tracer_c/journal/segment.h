/* journal/segment.h - the segments of a journal: the first, more blocks for the last, the next.
 *
 * Threads: only the holder of the open lock makes a segment; any number of threads allocate blocks.
 * Signals: no malloc, no stdio.
 * Must never know: Python, what is stored in a segment.
 */
#ifndef COVSUP_JOURNAL_SEGMENT_H
#define COVSUP_JOURNAL_SEGMENT_H

#include "journal/state.h"

/* Make segment `index`, of at least `least` bytes, and publish it. With the open lock held. */
journal_failure journal_make_segment(journal_state *state, uint32_t index, uint64_t least);

/* The segment `full` has no room for `size` bytes: make the next one, unless another thread has. */
journal_failure journal_next_segment(journal_state *state, const segment *full, uint64_t size,
                                     int ignore_backoff);

/* Allocate blocks up to at least `least`. */
journal_failure journal_grow(journal_state *state, segment *of, uint64_t least, int ignore_backoff);

#endif
