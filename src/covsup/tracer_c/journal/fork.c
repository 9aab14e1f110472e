/* journal/fork.c - the state of the writer, and how a forked child finds out that it has none yet.
 *
 * Threads: everything here is atomic.
 * Fork: the kernel wipes the state's page, so a child reads zeros. Where it cannot, a handler of
 * the C library and the pid show the fork. Must never know: Python, adapters, the layout of
 * records.
 */
#include "journal/state.h"

#include <pthread.h>
#include <sched.h>

_Atomic(journal_state *) journal_current_state;
/* Set once before journal_current_state, by the holder of start_lock (open.c). */
char journal_directory[PATH_ROOM];
journal_settings journal_configuration;
_Atomic uint32_t journal_no_wipe_on_fork;

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
