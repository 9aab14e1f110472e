/* journal/records.c - store records in the journal of this process. See records.h.
 *
 * Room is reserved by a compare-and-swap on the header's tail. The words of the record follow, and
 * its first word comes last: a reader sees the whole record or none.
 * Must never know: Python, adapters, what a line means.
 */
#include "journal/records.h"

#include "journal/losses.h"
#include "journal/segment.h"

/* Reserve `size` bytes in a row. NULL with the reason in *err. */
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
        /* Other processes can write the header: a wrong tail must not lead out of the mapping. */
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

/* The first word of a record makes readers see it, so it is stored last. */
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

/* An arc as one word; 0: it needs more. One word is enough for nearly all arcs: the two lines are
 * close to each other, and the negative number of an entry or exit is the first line of its code.
 */
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

journal_failure
journal_store_blob(journal_state *state, unsigned type, const part *parts, unsigned count,
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
    journal_failure err = journal_store_blob(state, type, &whole, 1, 0);
    return err.error == 0 ? 0 : journal_count_loss(what, err);
}
