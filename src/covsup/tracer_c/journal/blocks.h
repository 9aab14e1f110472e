/* journal/blocks.h - give a journal blocks on disk before anything is written to it.
 *
 * A store to a mapping whose file has no block there kills the process with SIGBUS when the disk is
 * full. So blocks come first, and a full disk is an error that can be reported.
 * Threads: any; to allocate a range twice is harmless.
 * Signals: no malloc, no stdio.
 * Must never know: Python, what is stored.
 */
#ifndef COVSUP_JOURNAL_BLOCKS_H
#define COVSUP_JOURNAL_BLOCKS_H

#include "journal/system.h"

/* Allocate [from, to) through the mapping. 0 or errno; EINVAL: this kernel cannot (Linux before
 * 5.14). */
int journal_populate(char *base, uint64_t from, uint64_t to);

/* Allocate [from, to) through a descriptor. 0 or errno. Where the system has no call for it, zeros
 * are written, so no word in the range may be in use yet. */
int journal_allocate_by_descriptor(int fd, uint64_t from, uint64_t to);

/* The first blocks of a new file. 0 or errno. */
int journal_allocate_first(int fd, char *base, uint64_t size);

/* Whether journal_populate() has said EINVAL, or has now: it is not called again. */
int journal_can_populate(void);
void journal_note_no_populate(void);

#endif
