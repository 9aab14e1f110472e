/* journal/segment_file.h - the file of a segment: its name and size, making it, reopening it.
 *
 * Threads: only the holder of the open lock calls these.
 * Signals: no malloc, no stdio.
 * Must never know: Python, what is stored in a segment.
 */
#ifndef COVSUP_JOURNAL_SEGMENT_FILE_H
#define COVSUP_JOURNAL_SEGMENT_FILE_H

#include "journal/mappings.h"

/* Make and map the file of segment `index`, at least `least` bytes of it, with blocks for the first
 * `allocated` bytes. After a failure there is no file. */
journal_failure journal_make_segment_file(const journal_state *state, uint32_t index,
                                          uint64_t least, uint64_t allocated, mapping *made);

/* Open the file of a segment of this process. A file of that name that is not this process's is
 * refused. -1 with errno set. The caller closes the descriptor. */
int journal_reopen_segment_file(const segment *of);

#endif
