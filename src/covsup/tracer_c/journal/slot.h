/* journal/slot.h - a part of a mapped file in which one process may write an ordinary journal.
 *
 * Must never know: Python, what is stored in a slot.
 */
#ifndef COVSUP_JOURNAL_SLOT_H
#define COVSUP_JOURNAL_SLOT_H

#include "journal/mappings.h"

uint64_t journal_slot_size(void);

/* Where the first slot of a file begins, and how many slots it has. */
uint64_t journal_slots_at(const mapping *file);
uint64_t journal_slot_count(const mapping *file);

/* Claim a slot for segment `index`, with blocks for its first bytes; journal_windows then has it.
 */
journal_failure journal_claim_slot(uint32_t index, uint64_t *offset, uint64_t *allocated);

#endif
