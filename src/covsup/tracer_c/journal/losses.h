/* journal/losses.h - count what could not be stored, and remember the first reason.
 *
 * Threads: any; the counts are atomic.
 * Must never know: Python, why a caller wanted to store something.
 */
#ifndef COVSUP_JOURNAL_LOSSES_H
#define COVSUP_JOURNAL_LOSSES_H

#include "journal/state.h"

typedef enum { LOST_FACT, LOST_EVENT } loss;

/* Count a loss where it can be read: in this process's journal, else in the inherited one, else in
 * memory until there is a journal. Returns -1, for the caller to return. */
int journal_count_loss(loss what, journal_failure err);

/* The same, for the reason that opening the journal failed last. */
int journal_count_loss_unopened(loss what);

/* The journal is open now: move the counts in memory to its header. */
void journal_move_losses(journal_state *state);

#endif
