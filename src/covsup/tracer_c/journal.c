/* journal.c - append facts and events to the mmap'ed journal of this process.
 *
 * Threads: see journal.h. Storing is a compare-and-swap on the header's tail, then the words, the
 * record's first word last. Making a journal or the next segment is done by one thread, under a
 * lock that lies in the page which a fork wipes, so no child ever inherits it taken.
 * Fork: a wiped state page means "not this process's journal". Only the static variables below
 * live on in a child: who the parent was, where the session is, what is still mapped.
 * Disk: blocks are allocated before a word in them is handed out; a full disk is an error here and
 * never a SIGBUS. No descriptor outlives a call.
 * Signals: no malloc, no stdio; a handler that interrupts the opening of a journal is told "busy".
 * Must never know: Python, adapters, what a line means.
 */
#define _GNU_SOURCE 1
#define _DARWIN_C_SOURCE 1

#include "journal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>
#ifdef __APPLE__
#include <sys/random.h>
#endif

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
#define SYSTEM(name, failed, call) (journal_seam(name) != 0 ? (failed) : (call))
#define STORING(what) ((void)journal_seam(what))
#else
#define SYSTEM(name, failed, call) (call)
#define STORING(what) ((void)0)
#endif

#define RESERVATION (UINT64_C(64) << 20)
#define RESERVATION_MIN_UNDER_LIMIT (UINT64_C(256) << 10)
#define ADDRESS_SPACE_SHARE 64 /* under RLIMIT_AS a journal reserves at most 1/64 of the limit */
#define FIRST_BLOCKS UINT64_C(8192)
#define GROWTH_MIN UINT64_C(8192)
#define GROWTH_MAX (UINT64_C(256) << 10)
#define SEGMENTS_MAX 600
#define PREAMBLE_SIZE 4096
#define BACKOFF_FIRST_NS UINT64_C(1000000)
#define BACKOFF_DOUBLINGS 10 /* up to about one second */
#define READY_IF_PID 2u      /* state.ready where no page can be wiped: ask for the pid as well */
#define PATH_ROOM 4096
#define NAME_ROOM 80 /* "/<pid>-<32 hex>.<segment>.journal" */

typedef struct {
    int error; /* errno */
    journal_stage stage;
} failure;

typedef struct {
    char *base;                 /* the mapping; its first bytes are the header */
    uint64_t capacity;          /* its length; the header's copy is for readers only */
    _Atomic uint64_t allocated; /* bytes with blocks; a multiple of the page size */
} segment;

typedef struct {
    _Atomic uint64_t until_ns; /* monotonic; no try before */
    _Atomic uint32_t failures; /* in a row */
    _Atomic uint64_t why;      /* packed failure */
} backoff;

/* All of it zero in a child, whoever forked. */
typedef struct {
    _Atomic uint32_t ready;      /* JOURNAL_READY or READY_IF_PID */
    _Atomic uint32_t identified; /* identity_now() is this process's */
    _Atomic uint64_t opener;     /* the thread that opens a journal or segment; 0: nobody */
    _Atomic uint32_t pid;        /* where no page can be wiped */
    _Atomic uint32_t count;      /* segments in use; the last one is written to */
    _Atomic uint64_t lost_facts; /* while there is no journal to count them in */
    _Atomic uint64_t lost_events;
    _Atomic uint64_t lost_why; /* packed failure; 0: none */
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

/* What lives on in a forked child. A new identity is made beside the old one and then switched to,
 * in one aligned block, so that a fork by another thread sees either of them whole. */
static struct {
    _Alignas(512) identity of[2];
    _Atomic uint32_t current;
} identities;

typedef struct {
    char *base;
    uint64_t length;
} mapping;

static _Atomic(journal_state *) the_state;
static _Atomic uint32_t starting;
static char directory[PATH_ROOM];
static journal_settings settings;
static uint64_t page_size;
static _Atomic uint32_t epoch;
static _Atomic uint32_t cannot_wipe;
static _Atomic uint32_t cannot_populate;
static mapping mappings[SEGMENTS_MAX]; /* of this process, or inherited from the one that forked */
static _Atomic uint32_t mapping_count;
static _Atomic(const char *) last_error;

/* Properties for the journals of forked children: entries in a row, size 0 ends them. */
typedef struct {
    _Atomic uint32_t size; /* of the payload that follows; stored last */
    uint32_t check;        /* FNV-1a-32 of it: a fork may have caught half of it */
} preamble_entry;
static _Alignas(8) char preamble[PREAMBLE_SIZE];
static _Atomic uint32_t preamble_used;

static _Atomic(uint32_t) never_ready;
_Atomic(_Atomic(uint32_t) *) journal_ready_word = &never_ready;

/* --- small tools ------------------------------------------------------------------------- */

static uint64_t
clock_ns(clockid_t clock)
{
    struct timespec now = {0, 0};
    (void)clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

static uint64_t
boottime_ns(void)
{
#ifdef CLOCK_BOOTTIME
    return clock_ns(CLOCK_BOOTTIME);
#else
    return clock_ns(CLOCK_MONOTONIC); /* macOS: goes on while the machine sleeps */
#endif
}

static uint64_t
round_up(uint64_t size)
{
    return (size + page_size - 1) / page_size * page_size;
}

static uint64_t
min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t
max_u64(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* A failure in one word, laid out as the header's lost_errno and lost_stage lie side by side. */
static uint64_t
pack(failure why)
{
    uint32_t halves[2] = {(uint32_t)why.error, (uint32_t)why.stage};
    uint64_t packed;
    memcpy(&packed, halves, sizeof(packed));
    return packed;
}

static failure
unpack(uint64_t packed)
{
    uint32_t halves[2];
    memcpy(halves, &packed, sizeof(packed));
    return (failure){(int)halves[0], (journal_stage)halves[1]};
}

static failure
failed(int error, journal_stage stage)
{
    return (failure){error, stage};
}

static const failure fine = {0, JOURNAL_STAGE_NONE};

static const char *
stage_words(journal_stage stage)
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
    }
    return "an unknown stage";
}

static int
may_try(backoff *pause)
{
    return atomic_load_explicit(&pause->failures, memory_order_relaxed) == 0 ||
           clock_ns(CLOCK_MONOTONIC) >=
               atomic_load_explicit(&pause->until_ns, memory_order_relaxed);
}

static void
tried(backoff *pause, failure why)
{
    if (why.error == 0) {
        atomic_store_explicit(&pause->failures, 0, memory_order_relaxed);
        return;
    }
    uint32_t failures = atomic_load_explicit(&pause->failures, memory_order_relaxed);
    uint64_t wait = BACKOFF_FIRST_NS
                    << (failures < BACKOFF_DOUBLINGS ? failures : BACKOFF_DOUBLINGS);
    atomic_store_explicit(&pause->why, pack(why), memory_order_relaxed);
    atomic_store_explicit(&pause->until_ns, clock_ns(CLOCK_MONOTONIC) + wait, memory_order_relaxed);
    atomic_store_explicit(&pause->failures, failures + 1, memory_order_relaxed);
}

/* Fields of the mapped header are shared with readers and other threads: always atomic. */
static _Atomic(uint64_t) *
shared_u64(uint64_t *field)
{
    return (_Atomic(uint64_t) *)field;
}

static journal_header *
header_of(const segment *of)
{
    return (journal_header *)of->base;
}

static segment *
last_segment(journal_state *state)
{
    return &state->segments[atomic_load_explicit(&state->count, memory_order_acquire) - 1];
}

static const identity *
identity_now(void)
{
    return &identities.of[atomic_load_explicit(&identities.current, memory_order_acquire)];
}

/* --- fork -------------------------------------------------------------------------------- */

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
    journal_state *state = atomic_load_explicit(&the_state, memory_order_relaxed);
    if (state != NULL) {
        reset_state(state);
        atomic_store_explicit(&state->pid, (uint32_t)getpid(), memory_order_release);
    }
}

/* Where no page can be wiped and clone() went past the C library, the pid tells. */
static void
reset_if_other_process(journal_state *state)
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
static journal_state *
own_journal(void)
{
    journal_state *state = atomic_load_explicit(&the_state, memory_order_acquire);
    if (state == NULL) {
        return NULL;
    }
    uint32_t ready = atomic_load_explicit(&state->ready, memory_order_acquire);
    if (ready == READY_IF_PID &&
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
static int
take_opener(journal_state *state)
{
    uint64_t self = this_thread();
    for (unsigned tries = 0;; tries++) {
        uint64_t holder = 0;
        if (atomic_compare_exchange_strong(&state->opener, &holder, self)) {
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

static void
give_opener(journal_state *state)
{
    atomic_store_explicit(&state->opener, 0, memory_order_release);
}

/* --- who this process is ----------------------------------------------------------------- */

static void
make_image_id(uint8_t id[JOURNAL_IMAGE_ID_SIZE])
{
    if (SYSTEM("getentropy", -1, getentropy(id, JOURNAL_IMAGE_ID_SIZE)) == 0) {
        return;
    }
    /* No random source (seccomp, an old kernel): what differs between two processes anyway. */
    uint64_t seeds[] = {clock_ns(CLOCK_REALTIME), boottime_ns(), (uint64_t)getpid(),
                        (uint64_t)(uintptr_t)&seeds};
    const identity *before = identity_now();
    for (int half = 0; half < 2; half++) {
        uint64_t hash = fnv64(FNV64_START + (uint64_t)half, seeds, sizeof(seeds));
        hash = fnv64(hash, before->image_id, sizeof(before->image_id));
        memcpy(id + 8 * half, &hash, sizeof(hash));
    }
}

static void
become(const uint8_t parent[JOURNAL_IMAGE_ID_SIZE], uint32_t generation,
       journal_start_kind start_kind)
{
    uint32_t current = atomic_load_explicit(&identities.current, memory_order_relaxed);
    identity *next = &identities.of[1 - current];
    memcpy(next->parent_image_id, parent, sizeof(next->parent_image_id));
    make_image_id(next->image_id);
    next->pid = (uint64_t)getpid();
    next->ppid = (uint64_t)getppid();
    next->start_realtime_ns = clock_ns(CLOCK_REALTIME);
    next->start_boottime_ns = boottime_ns();
    next->generation = generation;
    next->start_kind = start_kind;
    atomic_store_explicit(&identities.current, 1 - current, memory_order_release);
}

static int
hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Reads digits up to `end`; NULL if there are none or too many. */
static const char *
read_number(const char *text, char end, uint64_t *number)
{
    const char *at = text;
    for (*number = 0; *at >= '0' && *at <= '9' && at - text < 18; at++) {
        *number = *number * 10 + (uint64_t)(*at - '0');
    }
    return at != text && *at == end ? at + 1 : NULL;
}

/* 0 and the three parts, or -1 for a value that is not "<32 hex>.<pid>.<generation>". */
static int
read_parent_value(const char *text, uint8_t id[JOURNAL_IMAGE_ID_SIZE], uint64_t *pid,
                  uint64_t *generation)
{
    for (int i = 0; i < JOURNAL_IMAGE_ID_SIZE; i++) {
        int high = hex_digit(text[2 * i]);
        int low = high < 0 ? -1 : hex_digit(text[2 * i + 1]);
        if (low < 0) {
            return -1;
        }
        id[i] = (uint8_t)(high << 4 | low);
    }
    if (text[2 * JOURNAL_IMAGE_ID_SIZE] != '.') {
        return -1;
    }
    const char *at = read_number(text + 2 * JOURNAL_IMAGE_ID_SIZE + 1, '.', pid);
    return at != NULL && read_number(at, '\0', generation) != NULL ? 0 : -1;
}

static char *
put_hex(char *at, const uint8_t *bytes, size_t count)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < count; i++) {
        *at++ = digits[bytes[i] >> 4];
        *at++ = digits[bytes[i] & 15];
    }
    return at;
}

static char *
put_number(char *at, uint64_t number)
{
    char reversed[20];
    int count = 0;
    do {
        reversed[count++] = (char)('0' + number % 10);
        number /= 10;
    } while (number != 0);
    while (count > 0) {
        *at++ = reversed[--count];
    }
    return at;
}

static char *
put_text(char *at, const char *text)
{
    size_t size = strlen(text);
    memcpy(at, text, size);
    return at + size;
}

/* --- losses ------------------------------------------------------------------------------ */

static void
note_reason(_Atomic(uint64_t) *place, uint64_t packed)
{
    uint64_t none = 0;
    (void)atomic_compare_exchange_strong(place, &none, packed);
}

/* What was counted in memory while there was no journal goes to the journal's header. */
static void
move_losses(journal_state *state)
{
    uint64_t facts = atomic_exchange(&state->lost_facts, 0);
    uint64_t events = atomic_exchange(&state->lost_events, 0);
    if (facts == 0 && events == 0) {
        return;
    }
    journal_header *header = header_of(last_segment(state));
    atomic_fetch_add(shared_u64(&header->lost_facts), facts);
    atomic_fetch_add(shared_u64(&header->lost_events), events);
    uint64_t why = atomic_load(&state->lost_why);
    if (why != 0) {
        note_reason((_Atomic(uint64_t) *)(void *)&header->lost_errno, why);
    }
}

typedef enum { A_FACT, AN_EVENT } loss;

static int
lose(loss what, failure why)
{
    journal_state *state = atomic_load_explicit(&the_state, memory_order_acquire);
    if (state == NULL) {
        return -1;
    }
    note_reason(&state->lost_why, pack(why));
    atomic_fetch_add(what == A_FACT ? &state->lost_facts : &state->lost_events, 1);
    /* Added first, asked then: either the opener takes our count along, or we do it here. */
    if (own_journal() != NULL) {
        move_losses(state);
    }
    return -1;
}

static int
lose_without_journal(loss what)
{
    journal_state *state = atomic_load_explicit(&the_state, memory_order_acquire);
    failure why = fine;
    if (state != NULL) {
        why = unpack(atomic_load_explicit(&state->opening.why, memory_order_relaxed));
    }
    return lose(what, why.error != 0 ? why : failed(EAGAIN, JOURNAL_STAGE_STATE));
}

/* --- allocating blocks ------------------------------------------------------------------- */

#ifdef MADV_POPULATE_WRITE
/* 0, or errno; EINVAL: this kernel does not know the call. */
static int
populate(char *base, uint64_t from, uint64_t to)
{
    int rc;
    do {
        rc = SYSTEM("madvise(populate)", -1,
                    madvise(base + from, (size_t)(to - from), MADV_POPULATE_WRITE));
    } while (rc != 0 && (errno == EINTR || errno == EAGAIN));
    return rc == 0 ? 0 : errno;
}
#else
static int
populate(char *base, uint64_t from, uint64_t to)
{
    (void)base, (void)from, (void)to;
    return EINVAL;
}
#endif

/* Blocks through a descriptor. Nobody may have been given words in [from, to) yet: where there is
 * no call that only allocates, zeros are written. Returns 0 or errno. */
static int
allocate_by_descriptor(int fd, uint64_t from, uint64_t to)
{
    static const char zeros[4096];
    int rc;
#if defined(__linux__)
    do {
        rc = SYSTEM("fallocate", -1, fallocate(fd, 0, (off_t)from, (off_t)(to - from)));
    } while (rc != 0 && errno == EINTR);
    if (rc == 0 || (errno != EOPNOTSUPP && errno != ENOSYS)) {
        return rc == 0 ? 0 : errno;
    }
#elif defined(F_PREALLOCATE)
    fstore_t wanted = {
        .fst_flags = F_ALLOCATEALL, .fst_posmode = F_PEOFPOSMODE, .fst_length = (off_t)(to - from)};
    do {
        rc = SYSTEM("fcntl(preallocate)", -1, fcntl(fd, F_PREALLOCATE, &wanted));
    } while (rc != 0 && errno == EINTR);
    if (rc != 0 && errno == ENOSPC) {
        return errno;
    }
#endif
    for (uint64_t at = from; at < to;) {
        ssize_t written = SYSTEM(
            "pwrite", -1, pwrite(fd, zeros, (size_t)min_u64(sizeof(zeros), to - at), (off_t)at));
        if (written < 0 && errno != EINTR) {
            return errno;
        }
        at += written > 0 ? (uint64_t)written : 0;
    }
    return 0;
}

static int
allocate_first(int fd, char *base, uint64_t size)
{
    if (!atomic_load_explicit(&cannot_populate, memory_order_relaxed)) {
        int error = populate(base, 0, size);
        if (error != EINVAL) {
            return error;
        }
        atomic_store_explicit(&cannot_populate, 1, memory_order_relaxed);
    }
    return allocate_by_descriptor(fd, 0, size);
}

/* --- making a segment -------------------------------------------------------------------- */

static failure
name_segment(char path[PATH_ROOM + NAME_ROOM], uint32_t index)
{
    const identity *self = identity_now();
    if (strlen(directory) >= PATH_MAX - NAME_ROOM) {
        return failed(ENAMETOOLONG, JOURNAL_STAGE_NAME);
    }
    char *at = put_text(path, directory);
    *at++ = '/';
    at = put_number(at, self->pid);
    *at++ = '-';
    at = put_hex(at, self->image_id, sizeof(self->image_id));
    *at++ = '.';
    at = put_number(at, index);
    at = put_text(at, ".journal");
    *at = '\0';
    return fine;
}

/* How much to reserve. Asked before the file is touched: growing a file past RLIMIT_FSIZE would
 * send SIGXFSZ, which kills. */
static failure
choose_capacity(uint64_t *capacity)
{
    struct rlimit limit;
    uint64_t least = max_u64(FIRST_BLOCKS, page_size);
    *capacity = RESERVATION;
    if (SYSTEM("getrlimit(as)", -1, getrlimit(RLIMIT_AS, &limit)) == 0 &&
        limit.rlim_cur != RLIM_INFINITY) {
        uint64_t share = (uint64_t)limit.rlim_cur / ADDRESS_SPACE_SHARE;
        *capacity = min_u64(*capacity, max_u64(share, RESERVATION_MIN_UNDER_LIMIT));
    }
    if (SYSTEM("getrlimit(fsize)", -1, getrlimit(RLIMIT_FSIZE, &limit)) != 0) {
        return failed(errno, JOURNAL_STAGE_LIMIT);
    }
    if (limit.rlim_cur != RLIM_INFINITY) {
        *capacity = min_u64(*capacity, (uint64_t)limit.rlim_cur);
    }
    *capacity = *capacity / page_size * page_size;
    return *capacity < least ? failed(EFBIG, JOURNAL_STAGE_LIMIT) : fine;
}

static int
open_retrying(const char *path, int flags)
{
    int fd;
    do {
        fd = SYSTEM("open", -1, open(path, flags | O_RDWR | O_NOFOLLOW | O_CLOEXEC, 0600));
    } while (fd < 0 && errno == EINTR);
    return fd;
}

/* Creates the file; *fd is above 2, so that a target which closed its standard streams, and whose
 * other threads may still write to them, cannot write into the journal for longer than a moment. */
static failure
create_file(const char *path, int *fd)
{
    *fd = open_retrying(path, O_CREAT | O_EXCL);
    if (*fd < 0 && errno == EEXIST && SYSTEM("unlink", -1, unlink(path)) == 0) {
        /* The name holds our pid and our random id: what an earlier try could not clean up. */
        *fd = open_retrying(path, O_CREAT | O_EXCL);
    }
    if (*fd < 0) {
        return failed(errno, JOURNAL_STAGE_OPEN);
    }
    if (*fd <= STDERR_FILENO) {
        int above = SYSTEM("fcntl(dupfd)", -1, fcntl(*fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
        if (above < 0) {
            return failed(errno, JOURNAL_STAGE_MODE);
        }
        (void)SYSTEM("close", -1, close(*fd));
        *fd = above;
    }
    /* The umask may have left no bit; without its bits the owner could not open it again. */
    int rc;
    do {
        rc = SYSTEM("fchmod", -1, fchmod(*fd, 0600));
    } while (rc != 0 && errno == EINTR);
    return rc == 0 ? fine : failed(errno, JOURNAL_STAGE_MODE);
}

/* In a child: the journals of the process that forked are still mapped. Give them back, but keep
 * one of the wanted length for our own journal to be mapped over: so a child needs no address
 * space beside what it inherited. Returns its address or NULL. */
static char *
reuse_inherited(uint64_t length)
{
    char *kept = NULL;
    uint32_t count = atomic_load_explicit(&mapping_count, memory_order_acquire);
    for (uint32_t i = 0; i < count; i++) {
        mapping old = mappings[i];
        mappings[i] = (mapping){NULL, 0};
        if (old.base == NULL || old.length == 0) {
            continue; /* the fork caught it half made */
        }
        if (kept == NULL && old.length == length) {
            kept = old.base;
        } else {
            (void)SYSTEM("munmap", -1, munmap(old.base, (size_t)old.length));
        }
    }
    atomic_store_explicit(&mapping_count, 0, memory_order_release);
    return kept;
}

static failure
map_file(int fd, uint32_t index, uint64_t *capacity, char **base)
{
    for (;;) {
        int rc;
        do {
            rc = SYSTEM("ftruncate", -1, ftruncate(fd, (off_t)*capacity));
        } while (rc != 0 && errno == EINTR);
        if (rc != 0) {
            return failed(errno, JOURNAL_STAGE_SIZE);
        }
        char *over = index == 0 ? reuse_inherited(*capacity) : NULL;
        void *mapped = SYSTEM("mmap", MAP_FAILED,
                              mmap(over, (size_t)*capacity, PROT_READ | PROT_WRITE,
                                   MAP_SHARED | (over != NULL ? MAP_FIXED : 0), fd, 0));
        if (mapped != MAP_FAILED) {
            *base = mapped;
            return fine;
        }
        int error = errno;
        if (over != NULL) {
            (void)SYSTEM("munmap", -1, munmap(over, (size_t)*capacity));
        }
        if ((error != ENOMEM && error != EAGAIN) ||
            *capacity / 2 < max_u64(FIRST_BLOCKS, page_size)) {
            return failed(error, JOURNAL_STAGE_MAP);
        }
        *capacity = *capacity / 2 / page_size * page_size; /* an address space that is full */
    }
}

static void
write_header(char *base, uint32_t index, uint64_t capacity, uint64_t allocated)
{
    journal_header *header = (journal_header *)base;
    const identity *self = identity_now();
    header->version = JOURNAL_VERSION;
    header->header_size = JOURNAL_HEADER_SIZE;
    header->byte_order = JOURNAL_BYTE_ORDER;
    memcpy(header->image_id, self->image_id, sizeof(header->image_id));
    memcpy(header->parent_image_id, self->parent_image_id, sizeof(header->parent_image_id));
    header->pid = self->pid;
    header->ppid = self->ppid;
    header->start_realtime_ns = self->start_realtime_ns;
    header->start_boottime_ns = self->start_boottime_ns;
    header->generation = self->generation;
    header->start_kind = self->start_kind;
    header->python_hexversion = settings.python_hexversion;
    header->core = settings.core;
    header->flags = settings.flags;
    header->segment = index;
    header->capacity = capacity;
    header->uid = (uint64_t)geteuid();
    header->identity_check =
        fnv64(FNV64_START, base + JOURNAL_CHECKED_FROM, JOURNAL_CHECKED_TO - JOURNAL_CHECKED_FROM);
    header->tail = JOURNAL_HEADER_SIZE;
    header->allocated = allocated;
    uint64_t magic;
    memcpy(&magic, JOURNAL_MAGIC, sizeof(magic));
    STORING("magic");
    atomic_store_explicit((_Atomic(uint64_t) *)(void *)base, magic, memory_order_release);
}

/* Makes segment `index` and publishes it. Only the opener calls it. */
static failure
make_segment(journal_state *state, uint32_t index)
{
    char path[PATH_ROOM + NAME_ROOM];
    uint64_t capacity;
    char *base = NULL;
    int fd = -1;

    if (index >= SEGMENTS_MAX) {
        return failed(EFBIG, JOURNAL_STAGE_SEGMENT);
    }
    failure why = name_segment(path, index);
    if (why.error == 0) {
        why = choose_capacity(&capacity);
    }
    if (why.error == 0) {
        why = create_file(path, &fd);
    }
    int created = fd >= 0;
    if (why.error == 0) {
        why = map_file(fd, index, &capacity, &base);
    }
    uint64_t allocated = round_up(FIRST_BLOCKS);
    if (why.error == 0) {
        why.error = allocate_first(fd, base, allocated);
        why.stage = why.error == 0 ? JOURNAL_STAGE_NONE : JOURNAL_STAGE_FILL;
    }
    if (fd >= 0) {
        (void)SYSTEM("close", -1, close(fd)); /* Linux and macOS release it, EINTR or not */
    }
    if (why.error != 0) {
        if (base != NULL) {
            (void)SYSTEM("munmap", -1, munmap(base, (size_t)capacity));
        }
        if (created) {
            (void)SYSTEM("unlink", -1, unlink(path));
        }
        return why;
    }
    mappings[index] = (mapping){base, capacity};
    atomic_store_explicit(&mapping_count, index + 1, memory_order_release);
    write_header(base, index, capacity, allocated);
    state->segments[index].base = base;
    state->segments[index].capacity = capacity;
    atomic_store_explicit(&state->segments[index].allocated, allocated, memory_order_relaxed);
    STORING("segment");
    atomic_store_explicit(&state->count, index + 1, memory_order_release);
    return fine;
}

/* --- growing ----------------------------------------------------------------------------- */

/* Opens the segment's file again; -1 and errno. A file of that name which is not ours is refused.
 */
static int
reopen(const segment *of)
{
    char path[PATH_ROOM + NAME_ROOM];
    journal_header found;
    failure why = name_segment(path, header_of(of)->segment);
    if (why.error != 0) {
        errno = why.error;
        return -1;
    }
    int fd = open_retrying(path, O_NONBLOCK);
    if (fd < 0) {
        return -1;
    }
    if (SYSTEM("pread", -1, pread(fd, &found, sizeof(found), 0)) != (ssize_t)sizeof(found) ||
        memcmp(&found, header_of(of), JOURNAL_CHECKED_TO) != 0) {
        (void)SYSTEM("close", -1, close(fd));
        errno = ESTALE;
        return -1;
    }
    return fd;
}

static void
raise_to(_Atomic(uint64_t) *number, uint64_t value)
{
    uint64_t now = atomic_load_explicit(number, memory_order_relaxed);
    while (now < value && !atomic_compare_exchange_weak_explicit(
                              number, &now, value, memory_order_release, memory_order_relaxed)) {
    }
}

static void
publish_growth(segment *of, uint64_t allocated)
{
    STORING("allocated");
    raise_to(shared_u64(&header_of(of)->allocated), allocated);
    raise_to(&of->allocated, allocated);
}

/* The kernel cannot allocate behind a mapping: one thread does it through the file's path. */
static failure
grow_by_path(journal_state *state, segment *of, uint64_t least, uint64_t wanted)
{
    if (take_opener(state) != 0) {
        return failed(EAGAIN, JOURNAL_STAGE_BUSY);
    }
    failure why = fine;
    uint64_t from = atomic_load_explicit(&of->allocated, memory_order_acquire);
    if (from < least) {
        int fd = reopen(of);
        int error = fd < 0 ? errno : allocate_by_descriptor(fd, from, wanted);
        if (error != 0) {
            why = failed(error, JOURNAL_STAGE_GROW);
        } else {
            publish_growth(of, wanted);
        }
        if (fd >= 0) {
            (void)SYSTEM("close", -1, close(fd));
        }
    }
    give_opener(state);
    return why;
}

/* Blocks up to at least `least`. Any number of threads may do this at once: the same range is
 * allocated twice, and nothing is written. */
static failure
grow(journal_state *state, segment *of, uint64_t least, int urgent)
{
    if (!urgent && !may_try(&state->growing)) {
        return unpack(atomic_load_explicit(&state->growing.why, memory_order_relaxed));
    }
    int saved = errno;
    uint64_t from = atomic_load_explicit(&of->allocated, memory_order_acquire);
    uint64_t chunk = max_u64(GROWTH_MIN, min_u64(GROWTH_MAX, from / 2));
    uint64_t wanted = min_u64(of->capacity, round_up(max_u64(least, from + chunk)));
    failure why = fine;
    int error = EINVAL;
    if (!atomic_load_explicit(&cannot_populate, memory_order_relaxed)) {
        error = populate(of->base, from, wanted);
        if (error != 0 && error != EINVAL && wanted > round_up(least)) {
            wanted = round_up(least); /* the last free blocks of a disk */
            error = populate(of->base, from, wanted);
        }
        if (error == 0) {
            publish_growth(of, wanted);
        } else if (error != EINVAL) {
            why = failed(error, JOURNAL_STAGE_GROW);
        } else {
            atomic_store_explicit(&cannot_populate, 1, memory_order_relaxed);
        }
    }
    if (error == EINVAL) {
        why = grow_by_path(state, of, least, wanted);
    }
    if (!urgent || why.error == 0) {
        tried(&state->growing, why); /* a long text that found no room is no reason to pause */
    }
    errno = saved;
    return why;
}

/* The segment `full` has no room: make the next one, unless another thread did. */
static failure
next_segment(journal_state *state, const segment *full, int urgent)
{
    if (!urgent && !may_try(&state->growing)) {
        return unpack(atomic_load_explicit(&state->growing.why, memory_order_relaxed));
    }
    int saved = errno;
    if (take_opener(state) != 0) {
        return failed(EAGAIN, JOURNAL_STAGE_BUSY);
    }
    failure why = fine;
    if (last_segment(state) == full) {
        uint64_t used = atomic_load_explicit(&full->allocated, memory_order_relaxed);
        why = make_segment(state, atomic_load_explicit(&state->count, memory_order_relaxed));
        tried(&state->growing, why);
        if (why.error == 0) {
            /* Its pages stay in the file; they need not count as resident any more. */
            (void)SYSTEM("madvise(dontneed)", -1, madvise(full->base, (size_t)used, MADV_DONTNEED));
        }
    }
    give_opener(state);
    errno = saved;
    return why;
}

/* --- storing ----------------------------------------------------------------------------- */

/* Room for `size` bytes in a row, or NULL and the reason. */
static _Atomic(uint64_t) *
reserve(journal_state *state, uint64_t size, int urgent, failure *why)
{
    for (;;) {
        segment *into = last_segment(state);
        _Atomic(uint64_t) *tail_field = shared_u64(&header_of(into)->tail);
        uint64_t tail = atomic_load_explicit(tail_field, memory_order_relaxed);
        if (size > into->capacity - JOURNAL_HEADER_SIZE) {
            *why = failed(E2BIG, JOURNAL_STAGE_RANGE);
            return NULL;
        }
        /* The file is shared: a tail that somebody spoilt must not lead out of the mapping. */
        while (tail >= JOURNAL_HEADER_SIZE && tail % RECORD_WORD_SIZE == 0 &&
               tail <= into->capacity && size <= into->capacity - tail) {
            if (tail + size > atomic_load_explicit(&into->allocated, memory_order_acquire)) {
                *why = grow(state, into, tail + size, urgent);
                if (why->error != 0) {
                    return NULL;
                }
            }
            STORING("tail");
            if (atomic_compare_exchange_weak_explicit(tail_field, &tail, tail + size,
                                                      memory_order_relaxed, memory_order_relaxed)) {
                return (_Atomic(uint64_t) *)(void *)(into->base + tail);
            }
        }
        *why = next_segment(state, into, urgent);
        if (why->error != 0) {
            return NULL;
        }
    }
}

static void
store(_Atomic(uint64_t) *word, uint64_t value)
{
    STORING("word");
    atomic_store_explicit(word, value, memory_order_release);
}

/* Words of one fact: the rest first, the head, which makes them count, last. */
static int
store_fact(const uint64_t *words, unsigned count)
{
    journal_state *state = own_journal();
    if (state == NULL) {
        return lose_without_journal(A_FACT);
    }
    failure why = fine;
    _Atomic(uint64_t) *at = reserve(state, (uint64_t)count * RECORD_WORD_SIZE, 0, &why);
    if (at == NULL) {
        return lose(A_FACT, why);
    }
    for (unsigned i = count; i-- > 0;) {
        store(at + i, words[i]);
    }
    return 0;
}

static int
fits(int32_t number, int bits)
{
    int64_t half = INT64_C(1) << (bits - 1);
    return number >= -half && number < half;
}

int
journal_line(uint32_t file, uint32_t line, uint32_t context)
{
    if (file <= RECORD_MASK(RECORD_LINE_FILE_BITS) && line <= RECORD_MASK(RECORD_LINE_LINE_BITS) &&
        context <= RECORD_MASK(RECORD_LINE_CONTEXT_BITS)) {
        uint64_t word = record_line(file, line, context);
        return store_fact(&word, 1);
    }
    if (file > RECORD_MASK(RECORD_HEAD_FILE_BITS)) {
        return lose(A_FACT, failed(ERANGE, JOURNAL_STAGE_RANGE));
    }
    uint64_t words[] = {record_head(RECORD_TAG_LINE_WIDE, file, context), record_cont(line)};
    return store_fact(words, 2);
}

int
journal_arc(uint32_t file, int32_t from, int32_t to, uint32_t context)
{
    if (file > RECORD_MASK(RECORD_HEAD_FILE_BITS)) {
        return lose(A_FACT, failed(ERANGE, JOURNAL_STAGE_RANGE));
    }
    if (fits(from, RECORD_ARC_END_BITS) && fits(to, RECORD_ARC_END_BITS)) {
        uint64_t words[] = {record_head(RECORD_TAG_ARC, file, context), record_cont_pair(from, to)};
        return store_fact(words, 2);
    }
    uint64_t words[] = {record_head(RECORD_TAG_ARC_WIDE, file, context), record_cont(from),
                        record_cont(to)};
    return store_fact(words, 3);
}

typedef struct {
    const void *bytes;
    size_t size;
} part;

/* A blob whose payload is the parts in a row. */
static failure
put_blob(journal_state *state, unsigned type, const part *parts, unsigned count, int urgent)
{
    size_t size = 0;
    uint32_t check = FNV32_START;
    for (unsigned i = 0; i < count; i++) {
        if (parts[i].size > RECORD_BLOB_MAX - size) {
            return failed(E2BIG, JOURNAL_STAGE_RANGE);
        }
        if (parts[i].size == 0) {
            continue; /* its address may be NULL */
        }
        size += parts[i].size;
        check = fnv32(check, parts[i].bytes, parts[i].size);
    }
    uint64_t words = 1 + (size + RECORD_DATA_BYTES - 1) / RECORD_DATA_BYTES;
    failure why = fine;
    _Atomic(uint64_t) *head = reserve(state, words * RECORD_WORD_SIZE, urgent, &why);
    if (head == NULL) {
        return why;
    }
    const uint64_t empty = (uint64_t)RECORD_TAG_DATA << RECORD_TAG_SHIFT;
    _Atomic(uint64_t) *at = head + 1;
    uint64_t word = empty;
    unsigned filled = 0;
    for (unsigned i = 0; i < count; i++) {
        const uint8_t *bytes = parts[i].bytes;
        for (size_t k = 0; k < parts[i].size; k++) {
            word |= (uint64_t)bytes[k] << (8 * filled);
            if (++filled == RECORD_DATA_BYTES) {
                store(at++, word);
                word = empty;
                filled = 0;
            }
        }
    }
    if (filled != 0) {
        store(at, word);
    }
    store(head, record_blob(type, size, check));
    return fine;
}

int
journal_blob(unsigned type, const void *data, size_t size)
{
    loss what = type == BLOB_FILE || type == BLOB_CONTEXT ? A_FACT : AN_EVENT;
    journal_state *state = own_journal();
    if (state == NULL) {
        return lose_without_journal(what);
    }
    part whole = {data, size};
    failure why = put_blob(state, type, &whole, 1, 0);
    return why.error == 0 ? 0 : lose(what, why);
}

/* --- making the journal of this process -------------------------------------------------- */

/* The properties of the image, again, for a child that shares them. */
static void
repeat_preamble(journal_state *state)
{
    uint32_t used = atomic_load_explicit(&preamble_used, memory_order_acquire);
    for (uint32_t at = 0; at + sizeof(preamble_entry) <= used;) {
        preamble_entry *entry = (preamble_entry *)(void *)(preamble + at);
        uint32_t size = atomic_load_explicit(&entry->size, memory_order_acquire);
        const char *payload = (const char *)(entry + 1);
        if (size == 0 || size > used - at - sizeof(*entry) ||
            fnv32(FNV32_START, payload, size) != entry->check) {
            return; /* the fork caught it half written; the child's parent has it whole */
        }
        part whole = {payload, size};
        failure why = put_blob(state, BLOB_PROPERTY, &whole, 1, 1);
        if (why.error != 0) {
            (void)lose(AN_EVENT, why);
        }
        at += (uint32_t)(sizeof(*entry) + (size + 7) / 8 * 8);
    }
}

/* Makes the journal of a process that has none: of this image at its start, or of a child. */
static failure
open_journal(journal_state *state, int urgent)
{
    if (atomic_load_explicit(&state->identified, memory_order_acquire) && !urgent &&
        !may_try(&state->opening)) {
        return unpack(atomic_load_explicit(&state->opening.why, memory_order_relaxed));
    }
    if (take_opener(state) != 0) {
        return failed(EAGAIN, JOURNAL_STAGE_BUSY);
    }
    failure why = fine;
    if (atomic_load_explicit(&state->ready, memory_order_acquire) == 0) {
        if (!atomic_load_explicit(&state->identified, memory_order_relaxed)) {
            become(identity_now()->image_id, 0, JOURNAL_FORKED);
            atomic_store_explicit(&state->identified, 1, memory_order_release);
        }
        why = make_segment(state, 0);
        tried(&state->opening, why);
        if (why.error == 0) {
            repeat_preamble(state);
            atomic_fetch_add_explicit(&epoch, 1, memory_order_release);
            uint32_t ready = atomic_load_explicit(&cannot_wipe, memory_order_relaxed)
                                 ? READY_IF_PID
                                 : JOURNAL_READY;
            STORING("ready");
            atomic_store(&state->ready, ready);
            move_losses(state);
        }
    }
    give_opener(state);
    return why;
}

static int
ensure(int urgent)
{
    journal_state *state = atomic_load_explicit(&the_state, memory_order_acquire);
    if (state == NULL) {
        return -1;
    }
    if (atomic_load_explicit(&cannot_wipe, memory_order_relaxed)) {
        reset_if_other_process(state);
    }
    if (atomic_load_explicit(&state->ready, memory_order_acquire) != 0) {
        return 0;
    }
    int saved = errno;
    failure why = open_journal(state, urgent);
    errno = saved;
    return why.error == 0 ? 0 : -1;
}

int
journal_ensure_slow(void)
{
    return ensure(0);
}

void
journal_forked(void)
{
    (void)ensure(1);
}

uint32_t
journal_epoch(void)
{
    return atomic_load_explicit(&epoch, memory_order_acquire);
}

void
journal_lose_fact(void)
{
    (void)lose_without_journal(A_FACT);
}

int
journal_event(unsigned kind, const void *data, size_t size)
{
    uint8_t prefix[12];
    uint32_t kind32 = kind;
    uint64_t now = clock_ns(CLOCK_REALTIME);
    memcpy(prefix, &kind32, sizeof(kind32));
    memcpy(prefix + sizeof(kind32), &now, sizeof(now));
    if (ensure(1) != 0) {
        return lose_without_journal(AN_EVENT);
    }
    part parts[] = {{prefix, sizeof(prefix)}, {data, size}};
    failure why = put_blob(atomic_load(&the_state), BLOB_EVENT, parts, 2, 1);
    return why.error == 0 ? 0 : lose(AN_EVENT, why);
}

/* Keeps key and value for forked children, if there is room. */
static void
remember_property(const part parts[3])
{
    size_t size = parts[0].size + parts[1].size + parts[2].size;
    if (size > PREAMBLE_SIZE) {
        return;
    }
    uint32_t room = (uint32_t)(sizeof(preamble_entry) + (size + 7) / 8 * 8);
    uint32_t at = atomic_load(&preamble_used);
    do {
        if (room > PREAMBLE_SIZE - at) {
            return;
        }
    } while (!atomic_compare_exchange_weak(&preamble_used, &at, at + room));
    preamble_entry *entry = (preamble_entry *)(void *)(preamble + at);
    char *to = (char *)(entry + 1);
    uint32_t check = FNV32_START;
    for (int i = 0; i < 3; i++) {
        if (parts[i].size != 0) {
            memcpy(to, parts[i].bytes, parts[i].size);
        }
        check = fnv32(check, to, parts[i].size);
        to += parts[i].size;
    }
    entry->check = check;
    atomic_store_explicit(&entry->size, (uint32_t)size, memory_order_release);
}

int
journal_property(const char *key, const void *value, size_t size)
{
    part parts[] = {{key, strlen(key)}, {"", 1}, {value, size}};
    if (ensure(1) != 0) {
        return lose_without_journal(AN_EVENT);
    }
    failure why = put_blob(atomic_load(&the_state), BLOB_PROPERTY, parts, 3, 1);
    remember_property(parts);
    return why.error == 0 ? 0 : lose(AN_EVENT, why);
}

void
journal_thread_started(void)
{
    if (ensure(0) == 0) {
        segment *last = last_segment(atomic_load(&the_state));
        atomic_fetch_add_explicit(shared_u64(&header_of(last)->threads_started), 1,
                                  memory_order_relaxed);
    }
}

const char *
journal_parent_value(char buffer[JOURNAL_PARENT_SIZE])
{
    buffer[0] = '\0';
    if (atomic_load_explicit(&the_state, memory_order_acquire) == NULL) {
        return buffer;
    }
    (void)ensure(0); /* even if no journal can be made, a child is given its identity */
    const identity *self = identity_now();
    char *at = put_hex(buffer, self->image_id, sizeof(self->image_id));
    *at++ = '.';
    at = put_number(at, self->pid);
    *at++ = '.';
    at = put_number(at, self->generation);
    *at = '\0';
    return buffer;
}

/* --- start ------------------------------------------------------------------------------- */

/* The page that every fork wipes, or, where there is none, one that the fork handler clears. */
static failure
map_state(journal_state **state)
{
    size_t size = (size_t)round_up(sizeof(journal_state));
    void *mapped = SYSTEM("mmap(state)", MAP_FAILED,
                          mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1, 0));
    if (mapped == MAP_FAILED) {
        return failed(errno, JOURNAL_STAGE_STATE);
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
            return failed(error, JOURNAL_STAGE_STATE);
        }
        registered = 1;
        atomic_store(&cannot_wipe, 1);
        atomic_store(&(*state)->pid, (uint32_t)getpid());
    }
    return fine;
}

static void
identify(const char *covsup_parent)
{
    uint8_t parent[JOURNAL_IMAGE_ID_SIZE];
    uint64_t pid;
    uint64_t generation;
    if (covsup_parent == NULL || read_parent_value(covsup_parent, parent, &pid, &generation) != 0) {
        memset(parent, 0, sizeof(parent));
        become(parent, 0, JOURNAL_SPAWNED);
    } else if (pid == (uint64_t)getpid()) {
        become(parent, (uint32_t)generation + 1, JOURNAL_EXECED);
    } else {
        become(parent, 0, JOURNAL_SPAWNED);
    }
}

static failure
start(const journal_settings *wanted, const char *covsup_parent)
{
    journal_state *state = NULL;
    long page = sysconf(_SC_PAGESIZE);
    page_size = page > 0 ? (uint64_t)page : 4096;
    if (strlen(wanted->directory) >= sizeof(directory)) {
        return failed(ENAMETOOLONG, JOURNAL_STAGE_NAME);
    }
    memcpy(directory, wanted->directory, strlen(wanted->directory) + 1);
    settings = *wanted;
    settings.directory = directory;
    failure why = map_state(&state);
    if (why.error != 0) {
        return why;
    }
    identify(covsup_parent);
    atomic_store(&state->identified, 1);
    why = open_journal(state, 1);
    if (why.error != 0) {
        (void)SYSTEM("munmap", -1, munmap(state, (size_t)round_up(sizeof(*state))));
        return why;
    }
    atomic_store_explicit(&the_state, state, memory_order_release);
    atomic_store_explicit(&journal_ready_word, &state->ready, memory_order_release);
    return fine;
}

int
journal_start(const journal_settings *wanted, const char *covsup_parent)
{
    /* Two interpreters of one process may start at once. */
    uint32_t nobody = 0;
    while (!atomic_compare_exchange_weak(&starting, &nobody, 1)) {
        nobody = 0;
        (void)sched_yield();
    }
    failure why = fine;
    if (atomic_load_explicit(&the_state, memory_order_acquire) == NULL) {
        why = start(wanted, covsup_parent);
    }
    atomic_store_explicit(&last_error, stage_words(why.stage), memory_order_relaxed);
    atomic_store(&starting, 0);
    if (why.error != 0) {
        errno = why.error;
        return -1;
    }
    return 0;
}

const char *
journal_error(void)
{
    const char *words = atomic_load_explicit(&last_error, memory_order_relaxed);
    return words != NULL ? words : stage_words(JOURNAL_STAGE_NONE);
}
