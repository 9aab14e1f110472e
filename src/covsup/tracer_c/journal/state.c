/* journal/state.c - the state of the writer: which process it belongs to, the open lock, pauses.
 *
 * Threads: everything here is atomic.
 * Fork: the open lock lies in the page that a fork wipes, so no child inherits it locked.
 * Must never know: Python, adapters, the layout of records.
 */
#include "journal/state.h"

#include <pthread.h>
#include <sched.h>

#define BACKOFF_FIRST_NS UINT64_C(1000000)
#define BACKOFF_DOUBLINGS 10 /* up to about one second */

_Atomic(journal_state *) journal_current_state;
/* Set once before journal_current_state, by the holder of start_lock (open.c). */
char journal_directory[PATH_ROOM];
journal_settings journal_configuration;
_Atomic uint32_t journal_no_wipe_on_fork;

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

static void
reset_state(journal_state *state)
{
    /* `ready` first: no thread may store in the parent's journal while the rest is cleared. */
    atomic_store_explicit(&state->ready, 0, memory_order_seq_cst);
    memset((char *)state + sizeof(state->ready), 0, sizeof(*state) - sizeof(state->ready));
}

/* A fork handler of the C library, where no page can be wiped. */
static void
after_fork_in_child(void)
{
    journal_state *state = atomic_load_explicit(&journal_current_state, memory_order_relaxed);
    if (state != NULL) {
        reset_state(state);
        atomic_store_explicit(&state->pid, (uint32_t)getpid(), memory_order_release);
    }
}

/* A clone() that bypasses the C library runs no fork handler. The pid shows it. */
void
journal_reset_if_other_process(journal_state *state)
{
    /* A spin lock. It holds the pid, because a fork may copy it while it is held. */
    static _Atomic uint32_t resetter;
    uint32_t pid = (uint32_t)getpid();
    while (atomic_load_explicit(&state->pid, memory_order_acquire) != pid) {
        uint32_t holder = atomic_load_explicit(&resetter, memory_order_relaxed);
        if (holder == pid || !atomic_compare_exchange_strong(&resetter, &holder, pid)) {
            (void)sched_yield();
            continue;
        }
        if (atomic_load_explicit(&state->pid, memory_order_acquire) != pid) {
            reset_state(state);
            atomic_store_explicit(&state->pid, pid, memory_order_release);
        }
        atomic_store_explicit(&resetter, 0, memory_order_release);
    }
}

journal_state *
journal_own_state(void)
{
    journal_state *state = atomic_load_explicit(&journal_current_state, memory_order_acquire);
    if (state == NULL) {
        return NULL;
    }
    uint32_t ready = atomic_load_explicit(&state->ready, memory_order_acquire);
    if (ready == READY_IF_SAME_PID &&
        atomic_load_explicit(&state->pid, memory_order_relaxed) != (uint32_t)getpid()) {
        return NULL;
    }
    return ready != 0 ? state : NULL;
}

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

journal_failure
journal_map_state(journal_state **state)
{
    size_t size = (size_t)round_up(sizeof(journal_state));
    void *mapped = SYSTEM("mmap(state)", MAP_FAILED,
                          mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1, 0));
    if (mapped == MAP_FAILED) {
        return failure_at(errno, JOURNAL_STAGE_STATE);
    }
    *state = mapped;
    int wiped = -1;
#ifdef MADV_WIPEONFORK
    wiped = SYSTEM("madvise(wipeonfork)", -1, madvise(mapped, size, MADV_WIPEONFORK));
#endif
    if (wiped != 0) {
        static int registered; /* under the lock of journal_start() */
        int error = registered ? 0
                               : SYSTEM("pthread_atfork", errno,
                                        pthread_atfork(NULL, NULL, after_fork_in_child));
        if (error != 0) {
            (void)SYSTEM("munmap", -1, munmap(mapped, size));
            return failure_at(error, JOURNAL_STAGE_STATE);
        }
        registered = 1;
        atomic_store(&journal_no_wipe_on_fork, 1);
        atomic_store(&(*state)->pid, (uint32_t)getpid());
    }
    return NO_FAILURE;
}
