/* journal/open.h - make sure that this process has a journal of its own.
 *
 * Threads: any. One thread makes the journal, with the open lock; others wait for it.
 * Signals: no malloc, no stdio; a handler that interrupted the thread with the lock gets "busy".
 * Must never know: Python, adapters, what a line means.
 */
#ifndef COVSUP_JOURNAL_OPEN_H
#define COVSUP_JOURNAL_OPEN_H

#include "journal/state.h"

/* 0, or -1: no journal could be made. Does nothing for a while after a failure, unless the pause is
 * to be ignored. errno stays as it was. */
int journal_open(int ignore_backoff);

#endif
