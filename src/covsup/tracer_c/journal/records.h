/* journal/records.h - store records: reserve room, then write the words, the first word last.
 *
 * Threads: any number at once; storing takes no lock.
 * Signals: no malloc, no stdio.
 * Must never know: Python, adapters, what a line means.
 */
#ifndef COVSUP_JOURNAL_RECORDS_H
#define COVSUP_JOURNAL_RECORDS_H

#include "journal/state.h"

typedef struct {
    const void *bytes;
    size_t size;
} part;

/* Store a blob whose payload is the parts in a row. The caller counts the loss. */
journal_failure journal_store_blob(journal_state *state, unsigned type, const part *parts,
                                   unsigned count, int ignore_backoff);

#endif
