/* losses.c - count what could not be stored. See losses.h.
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
