/* journal/backoff.c - pauses after failures, so that a full disk costs no system call per line.
 *
 * Threads: everything here is atomic.
 * Must never know: Python, adapters, the layout of records.
 */
#include "journal/state.h"

#define BACKOFF_FIRST_NS UINT64_C(1000000)
#define BACKOFF_DOUBLINGS 10 /* up to about one second */

int
journal_backoff_expired(backoff *pause)
{
    return atomic_load_explicit(&pause->failures, memory_order_relaxed) == 0 ||
           journal_clock_ns(CLOCK_MONOTONIC) >=
               atomic_load_explicit(&pause->until_ns, memory_order_relaxed);
}

void
journal_backoff_update(backoff *pause, journal_failure err)
{
    if (err.error == 0) {
        atomic_store_explicit(&pause->failures, 0, memory_order_relaxed);
        return;
    }
    uint32_t failures = atomic_load_explicit(&pause->failures, memory_order_relaxed);
    uint64_t wait = BACKOFF_FIRST_NS
                    << (failures < BACKOFF_DOUBLINGS ? failures : BACKOFF_DOUBLINGS);
    atomic_store_explicit(&pause->failure, pack(err), memory_order_relaxed);
    atomic_store_explicit(&pause->until_ns, journal_clock_ns(CLOCK_MONOTONIC) + wait,
                          memory_order_relaxed);
    atomic_store_explicit(&pause->failures, failures + 1, memory_order_relaxed);
}
