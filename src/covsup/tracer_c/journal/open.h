/* journal/open.h - make sure that this process has a journal of its own.
 *
 * Threads: any. One thread makes the journal, with the open lock; others wait for it.
 * Signals: no malloc, no stdio; a handler that interrupted the thread with the lock gets "busy".
 * Must never know: Python, adapters, what a line means.
 */
#ifndef COVSUP_JOURNAL_OPEN_H
#define COVSUP_JOURNAL_OPEN_H

#include <stdatomic.h>
#include <stdint.h>

/* 0, or -1: no journal could be made. Does nothing for a while after a failure, unless the pause is
 * to be ignored. errno stays as it was. */
int journal_open(int ignore_backoff);

/* The first word of the state, which a fork wipes: JOURNAL_READY means that this process has a
 * journal. */
#define JOURNAL_READY 1u
extern _Atomic(_Atomic(uint32_t) *) journal_ready_word;

int journal_ensure_slow(void);

/* 0: this process has a journal of its own. -1: none can be made now (not counted as a loss). */
static inline int
journal_ensure(void)
{
    _Atomic(uint32_t) *word = atomic_load_explicit(&journal_ready_word, memory_order_acquire);
    if (atomic_load_explicit(word, memory_order_acquire) == JOURNAL_READY) {
        return 0;
    }
    return journal_ensure_slow();
}

#endif
