/* journal/journal.c - append facts and events to the mmap'ed journal of this process.
 *
 * Threads: see journal/journal.h. Storing is a compare-and-swap on the header's tail, then the
 * words, the record's first word last. Making a journal or the next segment is done by one thread,
 * the opener. Fork: a wiped state page means "not this process's journal": nothing is stored until
 * there is one. Signals: no malloc, no stdio; a handler that interrupts the opening of a journal is
 * told "busy". Must never know: Python, adapters, what a line means.
 */
#include "journal/state.h"

#include <sched.h>

#define INHERITED_PROPERTIES_SIZE 4096
#define VALUE_MAX 4096 /* of a property: it is there to be read, and a journal is small */

static _Atomic uint32_t starting;
static _Atomic uint32_t epoch;
static _Atomic(const char *) last_error;

/* Properties for the journals of forked children: entries in a row, size 0 ends them. */
typedef struct {
    _Atomic uint32_t size; /* of the payload that follows; stored last */
    uint32_t check;        /* CRC-32 of it: a fork may have caught half of it */
} inherited_property;
static _Alignas(8) char inherited_properties[INHERITED_PROPERTIES_SIZE];
static _Atomic uint32_t inherited_properties_used;

static _Atomic(uint32_t) never_ready;
_Atomic(_Atomic(uint32_t) *) journal_ready_word = &never_ready;

/* Room for `size` bytes in a row, or NULL and the reason. */
static _Atomic(uint64_t) *
reserve(journal_state *state, uint64_t size, int ignore_backoff, journal_failure *err)
{
    for (;;) {
        segment *into = last_segment(state);
        _Atomic(uint64_t) *tail_field = shared_u64(&header_of(into)->tail);
        uint64_t tail = atomic_load_explicit(tail_field, memory_order_relaxed);
        if (size > SEGMENT_LONGEST - JOURNAL_HEADER_SIZE) {
            *err = failure_at(E2BIG, JOURNAL_STAGE_RANGE);
            return NULL;
        }
        /* The file is shared: a tail that somebody spoilt must not lead out of the mapping. */
        while (tail >= JOURNAL_HEADER_SIZE && tail % RECORD_WORD_SIZE == 0 &&
               tail <= into->capacity && size <= into->capacity - tail) {
            if (tail + size > atomic_load_explicit(&into->allocated, memory_order_acquire)) {
                *err = journal_grow(state, into, tail + size, ignore_backoff);
                if (err->error != 0) {
                    return NULL;
                }
            }
            STORING("tail");
            if (atomic_compare_exchange_weak_explicit(tail_field, &tail, tail + size,
                                                      memory_order_relaxed, memory_order_relaxed)) {
                return (_Atomic(uint64_t) *)(void *)(into->base + tail);
            }
        }
        *err = journal_next_segment(state, into, size, ignore_backoff);
        if (err->error != 0) {
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
    journal_state *state = journal_own_state();
    if (state == NULL) {
        return journal_count_loss_unopened(LOST_FACT);
    }
    journal_failure err = NO_FAILURE;
    _Atomic(uint64_t) *at = reserve(state, (uint64_t)count * RECORD_WORD_SIZE, 0, &err);
    if (at == NULL) {
        return journal_count_loss(LOST_FACT, err);
    }
    for (unsigned i = count; i-- > 0;) {
        store(at + i, words[i]);
    }
    return 0;
}

static int
fits(int64_t number, int bits)
{
    int64_t half = INT64_C(1) << (bits - 1);
    return number >= -half && number < half;
}

int
journal_line(uint32_t file, uint32_t line, uint32_t context)
{
    if (file <= RECORD_MASK(RECORD_LINE_FILE_BITS) && line <= RECORD_MASK(RECORD_LINE_LINE_BITS) &&
        context <= RECORD_MASK(RECORD_LINE_CONTEXT_BITS)) {
        uint64_t word = encode_line(file, line, context);
        return store_fact(&word, 1);
    }
    if (file > RECORD_MASK(RECORD_HEAD_FILE_BITS)) {
        return journal_count_loss(LOST_FACT, failure_at(ERANGE, JOURNAL_STAGE_RANGE));
    }
    uint64_t words[] = {encode_head(RECORD_TAG_LINE_WIDE, file, context), encode_cont(line)};
    return store_fact(words, 2);
}

/* An arc as one word, or 0 where it needs more: its lines are near each other, as a rule, and what
 * a function's entry and exit name is its first line. */
static uint64_t
one_word_arc(uint32_t file, int32_t from, int32_t to, uint32_t context)
{
    unsigned nibble = from < 0 ? RECORD_ENTER_NIBBLE
                      : to < 0 ? RECORD_LEAVE_NIBBLE
                               : RECORD_NEAR_NIBBLE;
    int64_t line = from < 0 ? -(int64_t)from : from;
    int64_t difference = (nibble == RECORD_LEAVE_NIBBLE ? -(int64_t)to : to) - line;
    if ((from < 0 && to < 0) || file > RECORD_MASK(RECORD_NEAR_FILE_BITS) ||
        line > (int64_t)RECORD_MASK(RECORD_NEAR_LINE_BITS) ||
        !fits(difference, RECORD_NEAR_DIFFERENCE_BITS) ||
        context > RECORD_MASK(RECORD_NEAR_CONTEXT_BITS)) {
        return 0;
    }
    return encode_near(nibble, file, (uint32_t)line, (int32_t)difference, context);
}

int
journal_arc(uint32_t file, int32_t from, int32_t to, uint32_t context)
{
    uint64_t word = one_word_arc(file, from, to, context);
    if (word != 0) {
        return store_fact(&word, 1);
    }
    if (file > RECORD_MASK(RECORD_HEAD_FILE_BITS)) {
        return journal_count_loss(LOST_FACT, failure_at(ERANGE, JOURNAL_STAGE_RANGE));
    }
    if (fits(from, RECORD_ARC_END_BITS) && fits(to, RECORD_ARC_END_BITS)) {
        uint64_t words[] = {encode_head(RECORD_TAG_ARC, file, context), encode_cont_pair(from, to)};
        return store_fact(words, 2);
    }
    uint64_t words[] = {encode_head(RECORD_TAG_ARC_WIDE, file, context), encode_cont(from),
                        encode_cont(to)};
    return store_fact(words, 3);
}

typedef struct {
    const void *bytes;
    size_t size;
} part;

/* A blob whose payload is the parts in a row. */
static journal_failure
store_blob(journal_state *state, unsigned type, const part *parts, unsigned count,
           int ignore_backoff)
{
    size_t size = 0;
    uint32_t check = 0;
    for (unsigned i = 0; i < count; i++) {
        if (parts[i].size > RECORD_BLOB_MAX - size) {
            return failure_at(E2BIG, JOURNAL_STAGE_RANGE);
        }
        if (parts[i].size == 0) {
            continue; /* its address may be NULL */
        }
        size += parts[i].size;
        check = journal_crc32(check, parts[i].bytes, parts[i].size);
    }
    uint64_t words = 1 + (size + RECORD_DATA_BYTES - 1) / RECORD_DATA_BYTES;
    journal_failure err = NO_FAILURE;
    _Atomic(uint64_t) *head = reserve(state, words * RECORD_WORD_SIZE, ignore_backoff, &err);
    if (head == NULL) {
        return err;
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
    store(head, encode_blob(type, size, check));
    return NO_FAILURE;
}

int
journal_blob(unsigned type, const void *data, size_t size)
{
    loss what = type == BLOB_FILE || type == BLOB_CONTEXT ? LOST_FACT : LOST_EVENT;
    journal_state *state = journal_own_state();
    if (state == NULL) {
        return journal_count_loss_unopened(what);
    }
    part whole = {data, size};
    journal_failure err = store_blob(state, type, &whole, 1, 0);
    return err.error == 0 ? 0 : journal_count_loss(what, err);
}

/* Keeps key and value for forked children, if there is room. */
static void
save_inherited_property(const part parts[3])
{
    size_t size = parts[0].size + parts[1].size + parts[2].size;
    if (size > INHERITED_PROPERTIES_SIZE) {
        return;
    }
    uint32_t room = (uint32_t)(sizeof(inherited_property) + (size + 7) / 8 * 8);
    uint32_t at = atomic_load(&inherited_properties_used);
    do {
        if (room > INHERITED_PROPERTIES_SIZE - at) {
            return;
        }
    } while (!atomic_compare_exchange_weak(&inherited_properties_used, &at, at + room));
    inherited_property *entry = (inherited_property *)(void *)(inherited_properties + at);
    char *to = (char *)(entry + 1);
    uint32_t check = 0;
    for (int i = 0; i < 3; i++) {
        if (parts[i].size != 0) {
            memcpy(to, parts[i].bytes, parts[i].size);
        }
        check = journal_crc32(check, to, parts[i].size);
        to += parts[i].size;
    }
    entry->check = check;
    atomic_store_explicit(&entry->size, (uint32_t)size, memory_order_release);
}

/* The properties of the image, again, for a child that shares them. */
static void
rewrite_properties(journal_state *state)
{
    uint32_t used = atomic_load_explicit(&inherited_properties_used, memory_order_acquire);
    for (uint32_t at = 0; at + sizeof(inherited_property) <= used;) {
        inherited_property *entry = (inherited_property *)(void *)(inherited_properties + at);
        uint32_t size = atomic_load_explicit(&entry->size, memory_order_acquire);
        const char *payload = (const char *)(entry + 1);
        if (size == 0 || size > used - at - sizeof(*entry) ||
            journal_crc32(0, payload, size) != entry->check) {
            return; /* the fork caught it half written; the child's parent has it whole */
        }
        part whole = {payload, size};
        journal_failure err = store_blob(state, BLOB_PROPERTY, &whole, 1, 1);
        if (err.error != 0) {
            (void)journal_count_loss(LOST_EVENT, err);
        }
        at += (uint32_t)(sizeof(*entry) + (size + 7) / 8 * 8);
    }
}

/* The first process of a pid namespace was forked by one of another: what its journal repeats of
 * that one's namespace is not true of it, nor of its children. */
static void
write_pid_namespace(journal_state *state)
{
#ifdef __linux__
    static const char key[] = "pid_namespace"; /* with its NUL */
    char value[64];
    if (journal_identity_now()->ppid != 0) {
        return;
    }
    ssize_t size = SYSTEM("readlink", -1, readlink("/proc/self/ns/pid", value, sizeof(value)));
    part parts[] = {{key, sizeof(key) - 1}, {"", 1}, {value, size > 0 ? (size_t)size : 0}};
    journal_failure err = store_blob(state, BLOB_PROPERTY, parts, 3, 1);
    save_inherited_property(parts);
    if (err.error != 0) {
        (void)journal_count_loss(LOST_EVENT, err);
    }
#else
    (void)state;
#endif
}

/* Makes the journal of a process that has none: of this image at its start, or of a child. */
static journal_failure
open_journal(journal_state *state, int ignore_backoff)
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
            rewrite_properties(state);
            if (journal_identity_now()->start_kind == JOURNAL_FORKED) {
                write_pid_namespace(state);
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

static int
ensure(int ignore_backoff)
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
    journal_failure err = open_journal(state, ignore_backoff);
    errno = saved;
    return err.error == 0 ? 0 : -1;
}

int
journal_ensure_slow(void)
{
    return ensure(0);
}

void
journal_after_fork(void)
{
    (void)ensure(1);
}

uint32_t
journal_epoch(void)
{
    return atomic_load_explicit(&epoch, memory_order_acquire);
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

int
journal_event(unsigned kind, const void *data, size_t size)
{
    uint8_t prefix[12];
    uint32_t kind32 = kind;
    uint64_t now = journal_clock_ns(CLOCK_REALTIME);
    memcpy(prefix, &kind32, sizeof(kind32));
    memcpy(prefix + sizeof(kind32), &now, sizeof(now));
    if (ensure(1) != 0) {
        return journal_count_loss_unopened(LOST_EVENT);
    }
    part parts[] = {{prefix, sizeof(prefix)}, {data, size}};
    journal_failure err = store_blob(atomic_load(&journal_current_state), BLOB_EVENT, parts, 2, 1);
    return err.error == 0 ? 0 : journal_count_loss(LOST_EVENT, err);
}

int
journal_property(const char *key, const void *value, size_t size)
{
    part parts[] = {{key, strlen(key)}, {"", 1}, {value, size < VALUE_MAX ? size : VALUE_MAX}};
    if (ensure(1) != 0) {
        return journal_count_loss_unopened(LOST_EVENT);
    }
    journal_failure err =
        store_blob(atomic_load(&journal_current_state), BLOB_PROPERTY, parts, 3, 1);
    save_inherited_property(parts);
    return err.error == 0 ? 0 : journal_count_loss(LOST_EVENT, err);
}

void
journal_thread_started(void)
{
    if (ensure(0) == 0) {
        /* Always in the first segment: later ones say 0. */
        const segment *first = &atomic_load(&journal_current_state)->segments[0];
        atomic_fetch_add_explicit(shared_u64(&header_of(first)->threads_started), 1,
                                  memory_order_relaxed);
    }
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
    err = open_journal(state, 1);
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
    uint32_t nobody = 0;
    while (!atomic_compare_exchange_weak(&starting, &nobody, 1)) {
        nobody = 0;
        (void)sched_yield();
    }
    journal_failure err = NO_FAILURE;
    if (atomic_load_explicit(&journal_current_state, memory_order_acquire) == NULL) {
        err = start(wanted, covsup_parent);
    }
    atomic_store_explicit(&last_error, journal_stage_text(err.stage), memory_order_relaxed);
    atomic_store(&starting, 0);
    if (err.error != 0) {
        errno = err.error;
        return -1;
    }
    return 0;
}

const char *
journal_start_error(void)
{
    const char *words = atomic_load_explicit(&last_error, memory_order_relaxed);
    return words != NULL ? words : journal_stage_text(JOURNAL_STAGE_NONE);
}

static int
sync_all(const mapping *mapped, _Atomic uint32_t *count)
{
    int rc = 0;
    for (uint32_t i = 0; i < atomic_load_explicit(count, memory_order_acquire); i++) {
        mapping of = mapped[i];
        if (of.base != NULL &&
            SYSTEM("msync", -1, msync(of.base, (size_t)of.length, MS_SYNC)) != 0) {
            rc = -1;
        }
    }
    return rc;
}

int
journal_sync(void)
{
    int files = sync_all(journal_mappings, &journal_mapping_count);
    int slots = sync_all(journal_windows, &journal_window_count);
    return files == 0 ? slots : files;
}
