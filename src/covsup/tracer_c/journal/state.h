/* journal/state.h - the state of the writer: what this process has, what a child inherits.
 *
 * Fork: journal_state lies in a page that the kernel wipes at every fork, so a child reads zeros:
 * it has no journal yet. The variables below keep their values in a child: where the session is,
 * and how to find that page. Threads: every field is atomic. What changes them together holds the
 * open lock. Must never know: Python, adapters, what a line means.
 */
#ifndef COVSUP_JOURNAL_STATE_H
#define COVSUP_JOURNAL_STATE_H

#include "journal/system.h"

#include <stdatomic.h>

#include "journal/failure.h"
#include "journal/journal.h"

#define SEGMENTS_MAX 600
#define SEGMENT_LONGEST (UINT64_C(32) << 20) /* in memory, header and words */
#define PATH_ROOM 4096
#define FIRST_BLOCKS UINT64_C(8192) /* bytes that a new segment gets on disk at once */
#define READY_IF_SAME_PID 2u        /* `ready` where no page can be wiped: compare the pid, too */

typedef struct {
    char *base;                 /* the mapping; its first bytes are the header */
    uint64_t capacity;          /* its length; the copy in the header is for readers only */
    _Atomic uint64_t allocated; /* bytes with blocks on disk; a multiple of the page size */
} segment;

/* A pause after failures, so that a full disk does not cost a system call for every line. */
typedef struct {
    _Atomic uint64_t until_ns; /* monotonic; no attempt before */
    _Atomic uint32_t failures; /* in a row */
    _Atomic uint64_t failure;  /* the last one, packed */
} backoff;

typedef struct {
    _Atomic uint32_t ready;      /* JOURNAL_READY or READY_IF_SAME_PID; 0: no journal yet */
    _Atomic uint32_t identified; /* journal_identity_now() is this process's own */
    _Atomic uint64_t open_lock;  /* the thread that makes a journal or segment; 0: none */
    _Atomic uint32_t pid;        /* set only where no page can be wiped */
    _Atomic uint32_t count;      /* segments in use; the last one is written to */
    _Atomic uint64_t lost_facts; /* while there is no journal to count them in */
    _Atomic uint64_t lost_events;
    _Atomic uint64_t lost_failure; /* the first of these losses, packed; 0: none */
    /* The inherited header that counts this process's losses while it has no journal. Once set it
     * stays, since other threads may be counting there. */
    _Atomic(journal_header *) parent_header;
    _Atomic uint32_t uses_parent_file; /* this process's journal is in slots of an inherited file */
    backoff opening;
    backoff growing;
    segment segments[SEGMENTS_MAX];
} journal_state;

/* Set by journal_start() in one thread, before the release store of journal_current_state; only
 * read afterwards. */
extern _Atomic(journal_state *) journal_current_state;
extern char journal_directory[PATH_ROOM];
extern journal_settings journal_configuration;

/* 1: this kernel wipes no page at a fork, so a fork handler and the pid have to do. */
extern _Atomic uint32_t journal_no_wipe_on_fork;

/* Map the page for a new state. */
journal_failure journal_map_state(journal_state **state);

/* The state, if this process has a journal of its own; else NULL. */
journal_state *journal_own_state(void);

/* Where no page can be wiped: clear the state if it is another process's. */
void journal_reset_if_other_process(journal_state *state);

/* Take the lock for making a journal or a segment. -1: this very thread holds it already, so the
 * caller is a signal handler that interrupted the holder. */
int journal_lock_open(journal_state *state);
void journal_unlock_open(journal_state *state);

/* Whether another attempt may be made, and the result of an attempt. */
int journal_backoff_expired(backoff *pause);
void journal_backoff_update(backoff *pause, journal_failure err);

/* Fields of the mapped header are shared with readers and other threads: always atomic. */
static inline _Atomic(uint64_t) *
shared_u64(uint64_t *field)
{
    return (_Atomic(uint64_t) *)field;
}

static inline journal_header *
header_of(const segment *of)
{
    return (journal_header *)of->base;
}

static inline segment *
last_segment(journal_state *state)
{
    return &state->segments[atomic_load_explicit(&state->count, memory_order_acquire) - 1];
}

#endif
