/* journal/open_lock.c - the lock for making a journal or a segment.
 *
 * Threads: the lock is one atomic word, the number of the thread that holds it.
 * Fork: it lies in the page that a fork wipes, so no child inherits it locked.
 * Must never know: Python, adapters, the layout of records.
 */
#include "journal/state.h"

#include <pthread.h>
#include <sched.h>

static uint64_t
this_thread(void)
{
    pthread_t self = pthread_self();
    uint64_t number = 0;
    memcpy(&number, &self, sizeof(self) < sizeof(number) ? sizeof(self) : sizeof(number));
    return number;
}

int
journal_lock_open(journal_state *state)
{
    uint64_t self = this_thread();
    for (unsigned tries = 0;; tries++) {
        uint64_t holder = 0;
        if (atomic_compare_exchange_strong(&state->open_lock, &holder, self)) {
            return 0;
        }
        if (holder == self) {
            return -1;
        }
        if (tries < 64) {
            (void)sched_yield();
        } else {
            struct timespec nap = {0, 100000};
            (void)nanosleep(&nap, NULL);
        }
    }
}

void
journal_unlock_open(journal_state *state)
{
    atomic_store_explicit(&state->open_lock, 0, memory_order_release);
}
