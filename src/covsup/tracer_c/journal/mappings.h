/* journal/mappings.h - what is mapped of journals: this process's own, and inherited ones.
 *
 * Fork: a child inherits both the mappings and these lists. It unmaps what it inherited once it has
 * a journal of its own, but for a file whose slots it uses or whose header counts its losses.
 * Threads: written by the holder of the open lock, then published by the counts; any thread reads.
 * Must never know: Python, what is stored in a mapping.
 */
#ifndef COVSUP_JOURNAL_MAPPINGS_H
#define COVSUP_JOURNAL_MAPPINGS_H

#include "journal/state.h"

typedef struct {
    char *base;
    uint64_t length;      /* that is mapped */
    uint64_t file_length; /* the slots lie between the two */
} mapping;

extern mapping journal_mappings[SEGMENTS_MAX]; /* files, by segment */
extern _Atomic uint32_t journal_mapping_count;
extern mapping journal_windows[SEGMENTS_MAX]; /* slots, by the segment that they hold */
extern _Atomic uint32_t journal_window_count;

/* The header of the inherited file: it has slots for this process, and counts its losses while it
 * has no journal. NULL: no file is mapped, or the fork came while it was being made. */
journal_header *journal_inherited_header(void);

/* In a child: take an inherited mapping of at least `length` off the list, and return its address,
 * to map over it. NULL: there is none, or the inherited header is still needed. */
char *journal_take_inherited(const journal_state *state, uint64_t length);

/* In a child that has a file of its own: unmap all that it inherited. */
void journal_unmap_inherited(const journal_state *state);

/* In a child that has a slot of its own: unmap the slots that it inherited. */
void journal_unmap_inherited_slots(void);

void journal_close_window(mapping *window);

/* The process runs on without a journal: map empty memory over all that is mapped. Writers that are
 * under way write into that. -1 with errno set: something stays mapped. */
int journal_replace_mappings(void);

#endif
