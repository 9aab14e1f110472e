/* journal/state.h - what the files of the journal writer share: its state, the seam to the system.
 *
 * Fork: journal_state lies in a page which every fork wipes: it says what this process has. The
 * variables below live on in a child: who its parent was, where the session is, what is mapped.
 * Must never know: Python, adapters, what a line means.
 */
#ifndef COVSUP_JOURNAL_STATE_H
#define COVSUP_JOURNAL_STATE_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#ifndef _DARWIN_C_SOURCE
#define _DARWIN_C_SOURCE 1
#endif

#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "journal/journal.h"

#ifdef __linux__
#ifndef MADV_WIPEONFORK
#define MADV_WIPEONFORK 18
#endif
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif
#endif

/* The seam: every system call goes through SYSTEM, every publishing store is preceded by STORING.
 * A test build counts them, and makes the n-th fail or the process die there. */
#ifdef JOURNAL_SEAM
extern int journal_seam(const char *call); /* 0: go on; -1: fail, errno is set */
#define SYSTEM(name, on_failure, call) (journal_seam(name) != 0 ? (on_failure) : (call))
#define STORING(what) ((void)journal_seam(what))
#else
#define SYSTEM(name, failure_at, call) (call)
#define STORING(what) ((void)0)
#endif

#define SEGMENTS_MAX 600
#define SEGMENT_LONGEST (UINT64_C(32) << 20) /* in memory, header and words */
#define PATH_ROOM 4096
#define FIRST_BLOCKS UINT64_C(8192)
#define READY_IF_SAME_PID 2u /* state.ready where no page can be wiped: ask for the pid as well */

typedef struct {
    int error; /* errno */
    journal_stage stage;
} journal_failure;

typedef struct {
    char *base;                 /* the mapping; its first bytes are the header */
    uint64_t capacity;          /* its length; the copy in the header is for readers only */
    _Atomic uint64_t allocated; /* bytes with blocks; a multiple of the page size */
} segment;

typedef struct {
    _Atomic uint64_t until_ns; /* monotonic; no try before */
    _Atomic uint32_t failures; /* in a row */
    _Atomic uint64_t failure;  /* the last one, packed */
} backoff;

/* All of it zero in a child, whoever forked. */
typedef struct {
    _Atomic uint32_t ready;      /* JOURNAL_READY or READY_IF_SAME_PID */
    _Atomic uint32_t identified; /* identity_now() is this process's */
    _Atomic uint64_t open_lock;  /* the thread that opens a journal or segment; 0: nobody */
    _Atomic uint32_t pid;        /* where no page can be wiped */
    _Atomic uint32_t count;      /* segments in use; the last one is written to */
    _Atomic uint64_t lost_facts; /* while there is no journal to count them in */
    _Atomic uint64_t lost_events;
    _Atomic uint64_t lost_failure; /* packed failure; 0: none */
    _Atomic(journal_header *)
        parent_header;                 /* counts our losses while there is no journal; then kept */
    _Atomic uint32_t uses_parent_file; /* our journal is in slots of a file that we inherited */
    backoff opening;
    backoff growing;
    segment segments[SEGMENTS_MAX];
} journal_state;

typedef struct {
    uint8_t image_id[JOURNAL_IMAGE_ID_SIZE];
    uint8_t parent_image_id[JOURNAL_IMAGE_ID_SIZE];
    uint64_t pid;
    uint64_t ppid;
    uint64_t start_realtime_ns;
    uint64_t start_boottime_ns;
    uint32_t generation;
    uint32_t start_kind;
} identity;

typedef struct {
    char *base;
    uint64_t length;      /* that is mapped */
    uint64_t file_length; /* the slots lie between the two */
} mapping;

/* What lives on in a forked child. */
extern _Atomic(journal_state *) journal_current_state;
extern char journal_directory[PATH_ROOM];
extern journal_settings journal_configuration;
extern uint64_t journal_page_size;
extern _Atomic uint32_t journal_no_wipe_on_fork;
extern mapping journal_mappings[SEGMENTS_MAX]; /* own, or inherited from the process that forked */
extern _Atomic uint32_t journal_mapping_count;
extern mapping journal_windows[SEGMENTS_MAX]; /* slots that hold segments, by segment: likewise */
extern _Atomic uint32_t journal_window_count;

/* journal/state.c */
uint64_t journal_clock_ns(clockid_t clock);
uint64_t journal_boottime_ns(void);
const char *journal_stage_text(journal_stage stage);
int journal_backoff_expired(backoff *pause);
void journal_backoff_update(backoff *pause, journal_failure err);
journal_failure journal_map_state(journal_state **state);
void journal_reset_if_other_process(journal_state *state);
journal_state *
journal_own_state(void); /* the state, if this process has its own journal, or NULL */
int journal_lock_open(journal_state *state);
void journal_unlock_open(journal_state *state);

typedef enum { LOST_FACT, LOST_EVENT } loss;
int journal_count_loss(loss what, journal_failure err); /* counts; -1 */
int journal_count_loss_unopened(loss what);             /* the same while there is no journal */
void journal_move_losses(journal_state *state);

/* journal/identity.c */
const identity *journal_identity_now(void);
void journal_identify(const char *covsup_parent);
void journal_identify_child(void);
char *journal_put_text(char *at, const char *text);
char *journal_put_number(char *at, uint64_t number);
char *journal_put_hex(char *at, const uint8_t *bytes, size_t count);

/* journal/slot.c */
uint64_t journal_slot_size(void);
uint64_t journal_slots_at(const mapping *file);
uint64_t journal_slot_count(const mapping *file);
journal_header *journal_inherited_header(void);
journal_failure journal_claim_slot(uint32_t index, uint64_t *offset, uint64_t *allocated);
void journal_unmap_inherited_slots(void);

/* journal/window.c */
int journal_open_window(const mapping *file, uint64_t offset, uint64_t length, mapping *window);

/* journal/segment.c */
int journal_populate(char *base, uint64_t from, uint64_t to);
journal_failure journal_make_segment(journal_state *state, uint32_t index, uint64_t least);
journal_failure journal_next_segment(journal_state *state, const segment *full, uint64_t size,
                                     int ignore_backoff);
journal_failure journal_grow(journal_state *state, segment *of, uint64_t least, int ignore_backoff);

static inline uint64_t
round_up(uint64_t size)
{
    return (size + journal_page_size - 1) / journal_page_size * journal_page_size;
}

static inline uint64_t
min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static inline uint64_t
max_u64(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* A failure in one word, laid out as the header's lost_errno and lost_stage lie side by side. */
static inline uint64_t
pack(journal_failure err)
{
    uint32_t halves[2] = {(uint32_t)err.error, (uint32_t)err.stage};
    uint64_t packed;
    memcpy(&packed, halves, sizeof(packed));
    return packed;
}

static inline journal_failure
unpack(uint64_t packed)
{
    uint32_t halves[2];
    memcpy(halves, &packed, sizeof(packed));
    return (journal_failure){(int)halves[0], (journal_stage)halves[1]};
}

static inline journal_failure
failure_at(int error, journal_stage stage)
{
    return (journal_failure){error, stage};
}

static const journal_failure NO_FAILURE = {0, JOURNAL_STAGE_NONE};

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
