/* journal/open.c - make the journal of this process: at its start, and in a child after a fork.
 *
 * Fork: a wiped state page says that the mapped journal is not this process's. Nothing is stored
 * until it has made one of its own.
 * Must never know: Python, adapters, what a line means.
 */
#include "journal/state.h" /* first: it chooses what the system headers offer */

#include "journal/open.h"

#include <sched.h>

#include "journal/identity.h"
#include "journal/losses.h"
#include "journal/mappings.h"
#include "journal/properties.h"
#include "journal/segment.h"
#include "journal/text.h"

static _Atomic uint32_t start_lock; /* of journal_start(); 1: taken */
static _Atomic uint32_t epoch;
static _Atomic(const char *) last_error;

static _Atomic(uint32_t) never_ready; /* stands for the state until there is one */
_Atomic(_Atomic(uint32_t) *) journal_ready_word = &never_ready;

/* Make the journal of a process that has none: a new image, or a forked child. */
static journal_failure
make_journal(journal_state *state, int ignore_backoff)
{
    if (atomic_load_explicit(&state->identified, memory_order_acquire) && !ignore_backoff &&
        !journal_backoff_expired(&state->opening)) {
        return unpack(atomic_load_explicit(&state->opening.failure, memory_order_relaxed));
    }
    if (journal_lock_open(state) != 0) {
        return failure_at(EAGAIN, JOURNAL_STAGE_BUSY);
    }
    journal_failure err = NO_FAILURE;
    if (atomic_load_explicit(&state->ready, memory_order_acquire) == 0) {
        if (!atomic_load_explicit(&state->identified, memory_order_relaxed)) {
            journal_identify_child();
            atomic_store_explicit(&state->identified, 1, memory_order_release);
        }
        err = journal_make_segment(state, 0, FIRST_BLOCKS);
        journal_backoff_update(&state->opening, err);
        if (err.error == 0) {
            journal_rewrite_properties(state);
            if (journal_identity_now()->start_kind == JOURNAL_FORKED) {
                journal_write_pid_namespace(state);
            }
            atomic_fetch_add_explicit(&epoch, 1, memory_order_release);
            uint32_t ready = atomic_load_explicit(&journal_no_wipe_on_fork, memory_order_relaxed)
                                 ? READY_IF_SAME_PID
                                 : JOURNAL_READY;
            STORING("ready");
            atomic_store(&state->ready, ready);
            journal_move_losses(state);
        } else {
            atomic_store_explicit(&state->parent_header, journal_inherited_header(),
                                  memory_order_release);
        }
    }
    journal_unlock_open(state);
    return err;
}

int
journal_open(int ignore_backoff)
{
    journal_state *state = atomic_load_explicit(&journal_current_state, memory_order_acquire);
    if (state == NULL) {
        return -1;
    }
    if (atomic_load_explicit(&journal_no_wipe_on_fork, memory_order_relaxed)) {
        journal_reset_if_other_process(state);
    }
    if (atomic_load_explicit(&state->ready, memory_order_acquire) != 0) {
        return 0;
    }
    int saved = errno;
    journal_failure err = make_journal(state, ignore_backoff);
    errno = saved;
    return err.error == 0 ? 0 : -1;
}

int
journal_ensure_slow(void)
{
    return journal_open(0);
}

void
journal_after_fork(void)
{
    (void)journal_open(1);
}

uint32_t
journal_epoch(void)
{
    return atomic_load_explicit(&epoch, memory_order_acquire);
}

static journal_failure
start(const journal_settings *wanted, const char *covsup_parent)
{
    journal_state *state = NULL;
    long page = sysconf(_SC_PAGESIZE);
    journal_page_size = page > 0 ? (uint64_t)page : 4096;
    if (strlen(wanted->directory) >= sizeof(journal_directory)) {
        return failure_at(ENAMETOOLONG, JOURNAL_STAGE_NAME);
    }
    memcpy(journal_directory, wanted->directory, strlen(wanted->directory) + 1);
    journal_configuration = *wanted;
    journal_configuration.directory = journal_directory;
    journal_failure err = journal_map_state(&state);
    if (err.error != 0) {
        return err;
    }
    journal_identify(covsup_parent);
    atomic_store(&state->identified, 1);
    err = make_journal(state, 1);
    if (err.error != 0) {
        (void)SYSTEM("munmap", -1, munmap(state, (size_t)round_up(sizeof(*state))));
        return err;
    }
    atomic_store_explicit(&journal_current_state, state, memory_order_release);
    atomic_store_explicit(&journal_ready_word, &state->ready, memory_order_release);
    return NO_FAILURE;
}

int
journal_start(const journal_settings *wanted, const char *covsup_parent)
{
    /* Two interpreters of one process may start at once. */
    uint32_t unlocked = 0;
    while (!atomic_compare_exchange_weak(&start_lock, &unlocked, 1)) {
        unlocked = 0;
        (void)sched_yield();
    }
    journal_failure err = NO_FAILURE;
    if (atomic_load_explicit(&journal_current_state, memory_order_acquire) == NULL) {
        err = start(wanted, covsup_parent);
    }
    atomic_store_explicit(&last_error, journal_stage_text(err.stage), memory_order_relaxed);
    atomic_store(&start_lock, 0);
    if (err.error != 0) {
        errno = err.error;
        return -1;
    }
    return 0;
}

int
journal_stop(void)
{
    atomic_store_explicit(&journal_ready_word, &never_ready, memory_order_release);
    atomic_store_explicit(&journal_current_state, NULL, memory_order_release);
    journal_forget_properties();
    return journal_replace_mappings();
}

const char *
journal_start_error(void)
{
    const char *words = atomic_load_explicit(&last_error, memory_order_relaxed);
    return words != NULL ? words : journal_stage_text(JOURNAL_STAGE_NONE);
}

const char *
journal_parent_value(char buffer[JOURNAL_PARENT_SIZE])
{
    buffer[0] = '\0';
    if (atomic_load_explicit(&journal_current_state, memory_order_acquire) == NULL) {
        return buffer;
    }
    (void)journal_ensure(); /* makes the identity of a child, even where it can make no journal */
    const identity *self = journal_identity_now();
    char *at = journal_put_hex(buffer, self->image_id, sizeof(self->image_id));
    *at++ = '.';
    at = journal_put_number(at, self->pid);
    *at++ = '.';
    at = journal_put_number(at, self->generation);
    *at = '\0';
    return buffer;
}
