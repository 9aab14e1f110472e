/* journal/losses.c - count what could not be stored. See losses.h.
 *
 * Must never know: Python, why a caller wanted to store something.
 */
#include "journal/losses.h"

static void
store_first_failure(_Atomic(uint64_t) *place, uint64_t packed)
{
    uint64_t none = 0;
    (void)atomic_compare_exchange_strong(place, &none, packed);
}

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
        journal_reset_if_other_process(state); /* else journal_open() would clear the count */
    }
    journal_header *parent = atomic_load_explicit(&state->parent_header, memory_order_acquire);
    if (parent != NULL && journal_own_state() == NULL) {
        /* This process may never get a journal: count in the file that it inherited. */
        store_first_failure((_Atomic(uint64_t) *)(void *)&parent->forks_lost_errno, pack(err));
        atomic_fetch_add(
            shared_u64(what == LOST_FACT ? &parent->forks_lost_facts : &parent->forks_lost_events),
            1);
        return -1;
    }
    store_first_failure(&state->lost_failure, pack(err));
    atomic_fetch_add(what == LOST_FACT ? &state->lost_facts : &state->lost_events, 1);
    /* Count first, then ask: a thread that opens the journal meanwhile moves the count, or this one
     * does. */
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

void
journal_count_lost_fact(void)
{
    (void)journal_count_loss_unopened(LOST_FACT);
}

void
journal_count_lost_event(void)
{
    (void)journal_count_loss(LOST_EVENT, failure_at(ENOMEM, JOURNAL_STAGE_STACK));
}
