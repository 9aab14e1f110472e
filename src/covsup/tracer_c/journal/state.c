/* journal/state.c - the writer's state: whose it is, who may open, what was lost.
 *
 * Threads: everything here is atomic; the opener's lock lies in the page that a fork wipes, so no
 * child ever inherits it taken.
 * Must never know: Python, adapters, the layout of records.
 */
#include "journal/state.h"

#include <pthread.h>
#include <sched.h>

#define BACKOFF_FIRST_NS UINT64_C(1000000)
#define BACKOFF_DOUBLINGS 10 /* up to about one second */

_Atomic(journal_state *) journal_current_state;
char journal_directory[PATH_ROOM];
journal_settings journal_configuration;
uint64_t journal_page_size;
_Atomic uint32_t journal_no_wipe_on_fork;
mapping journal_mappings[SEGMENTS_MAX];
_Atomic uint32_t journal_mapping_count;
mapping journal_windows[SEGMENTS_MAX];
_Atomic uint32_t journal_window_count;

uint64_t
journal_clock_ns(clockid_t clock)
{
    struct timespec now = {0, 0};
    (void)clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

uint64_t
journal_boottime_ns(void)
{
#ifdef CLOCK_BOOTTIME
    return journal_clock_ns(CLOCK_BOOTTIME);
#else
    return journal_clock_ns(CLOCK_MONOTONIC); /* macOS: goes on while the machine sleeps */
#endif
}

const char *
journal_stage_text(journal_stage stage)
{
    switch (stage) {
    case JOURNAL_STAGE_NONE:
        return "no failure";
    case JOURNAL_STAGE_STATE:
        return "mapping the journal's state";
    case JOURNAL_STAGE_NAME:
        return "naming the journal";
    case JOURNAL_STAGE_LIMIT:
        return "fitting the journal into RLIMIT_FSIZE";
    case JOURNAL_STAGE_OPEN:
        return "creating the journal";
    case JOURNAL_STAGE_MODE:
        return "setting the journal's mode";
    case JOURNAL_STAGE_SIZE:
        return "reserving the journal's size";
    case JOURNAL_STAGE_MAP:
        return "mapping the journal";
    case JOURNAL_STAGE_FILL:
        return "allocating the journal's first blocks";
    case JOURNAL_STAGE_GROW:
        return "allocating more blocks for the journal";
    case JOURNAL_STAGE_SEGMENT:
        return "starting one more segment of the journal";
    case JOURNAL_STAGE_RANGE:
        return "fitting a number or text into a record";
    case JOURNAL_STAGE_BUSY:
        return "writing from a signal handler while the journal is being opened";
    case JOURNAL_STAGE_STACK:
        return "writing from a signal handler whose stack is too small";
    }
    return "an unknown stage";
}

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
    /* ready first: nobody may take the parent's journal for ours while the rest is cleared. */
    atomic_store_explicit(&state->ready, 0, memory_order_seq_cst);
    memset((char *)state + sizeof(state->ready), 0, sizeof(*state) - sizeof(state->ready));
}

/* Only where no page can be wiped: the fork handler of the C library does it, in the child. */
static void
after_fork_in_child(void)
{
    journal_state *state = atomic_load_explicit(&journal_current_state, memory_order_relaxed);
    if (state != NULL) {
        reset_state(state);
        atomic_store_explicit(&state->pid, (uint32_t)getpid(), memory_order_release);
    }
}

/* Where no page can be wiped and clone() went past the C library, the pid tells. */
void
journal_reset_if_other_process(journal_state *state)
{
    static _Atomic uint32_t resetter; /* pid of the process in which a thread resets */
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

/* The state, if it says that this process has a journal of its own; NULL otherwise. */
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

/* 0: taken. -1: this very thread holds it, so we are in a signal handler that interrupted it. */
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

/* The page that every fork wipes, or, where there is none, one that the fork handler clears. */
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
        static int registered;
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

static void
store_first_failure(_Atomic(uint64_t) *place, uint64_t packed)
{
    uint64_t none = 0;
    (void)atomic_compare_exchange_strong(place, &none, packed);
}

/* What was counted in memory while there was no journal goes to the journal's header. */
void
journal_move_losses(journal_state *state)
{
    uint64_t facts = atomic_exchange(&state->lost_facts, 0);
    uint64_t events = atomic_exchange(&state->lost_events, 0);
    if (facts == 0 && events == 0) {
        return;
    }
    journal_header *header = header_of(last_segment(state));
    atomic_fetch_add(shared_u64(&header->lost_facts), facts);
    atomic_fetch_add(shared_u64(&header->lost_events), events);
    uint64_t err = atomic_load(&state->lost_failure);
    if (err != 0) {
        store_first_failure((_Atomic(uint64_t) *)(void *)&header->lost_errno, err);
    }
}

int
journal_count_loss(loss what, journal_failure err)
{
    journal_state *state = atomic_load_explicit(&journal_current_state, memory_order_acquire);
    if (state == NULL) {
        return -1;
    }
    if (atomic_load_explicit(&journal_no_wipe_on_fork, memory_order_relaxed)) {
        journal_reset_if_other_process(state); /* or the count would be wiped by ensure() */
    }
    journal_header *host = atomic_load_explicit(&state->parent_header, memory_order_acquire);
    if (host != NULL && journal_own_state() == NULL) {
        /* There may never be a journal of ours: the file that we inherited tells of it. */
        store_first_failure((_Atomic(uint64_t) *)(void *)&host->forks_lost_errno, pack(err));
        atomic_fetch_add(
            shared_u64(what == LOST_FACT ? &host->forks_lost_facts : &host->forks_lost_events), 1);
        return -1;
    }
    store_first_failure(&state->lost_failure, pack(err));
    atomic_fetch_add(what == LOST_FACT ? &state->lost_facts : &state->lost_events, 1);
    /* Added first, asked then: either the opener takes our count along, or we do it here. */
    if (journal_own_state() != NULL) {
        journal_move_losses(state);
    }
    return -1;
}

int
journal_count_loss_unopened(loss what)
{
    journal_state *state = atomic_load_explicit(&journal_current_state, memory_order_acquire);
    journal_failure err = NO_FAILURE;
    if (state != NULL) {
        err = unpack(atomic_load_explicit(&state->opening.failure, memory_order_relaxed));
    }
    return journal_count_loss(what, err.error != 0 ? err : failure_at(EAGAIN, JOURNAL_STAGE_STATE));
}
