/* journal/word_decoder.c - decode the words of a journal: see journal/word_decoder.h. */
#include "journal/word_decoder.h"

#include <stdlib.h>
#include <string.h>

#include "tracer_c/journal/format.h"

/* Shifts of the fields of a LINE word and of an arc of one word, from their sizes in format.h. */
enum {
    NIBBLE_SHIFT = 60,
    LINE_LINE_SHIFT = RECORD_LINE_CONTEXT_BITS,
    LINE_FILE_SHIFT = LINE_LINE_SHIFT + RECORD_LINE_LINE_BITS,
    NEAR_DIFFERENCE_SHIFT = RECORD_NEAR_CONTEXT_BITS,
    NEAR_LINE_SHIFT = NEAR_DIFFERENCE_SHIFT + RECORD_NEAR_DIFFERENCE_BITS,
    NEAR_FILE_SHIFT = NEAR_LINE_SHIFT + RECORD_NEAR_LINE_BITS,
};

/* The bits of such words that hold the file and the context. */
#define LINE_KEY_BITS                                                                              \
    (RECORD_MASK(RECORD_LINE_FILE_BITS) << LINE_FILE_SHIFT | RECORD_MASK(RECORD_LINE_CONTEXT_BITS))
#define NEAR_KEY_BITS                                                                              \
    (RECORD_MASK(RECORD_NEAR_FILE_BITS) << NEAR_FILE_SHIFT | RECORD_MASK(RECORD_NEAR_CONTEXT_BITS))

/* The bits of a LINE word that differ within one block of 64 lines. */
#define LINE_IN_BLOCK_BITS (UINT64_C(63) << LINE_LINE_SHIFT)

#define BELOW_TAG RECORD_MASK(RECORD_TAG_SHIFT)

/* What an entry and an out-of-range fact cost besides their contents, with Python's objects. */
#define ENTRY_COST 512
#define OUT_OF_RANGE_COST 256

enum { FIRST_BLOCKS = 16 }; /* ENTRY_COST includes them */

enum { NO_MEMORY = -1, OVER_LIMIT = -2 }; /* instead of an entry's number */

typedef struct {
    journal_facts *facts;
    const uint8_t *words;
    size_t count;
    words_format format;
    const fact_limits *limits;
} decoder;

static uint64_t
word_at(const decoder *self, size_t at)
{
    uint64_t word;
    memcpy(&word, self->words + at * RECORD_WORD_SIZE, sizeof(word));
    return self->format.swapped ? __builtin_bswap64(word) : word;
}

static unsigned
tag_at(const decoder *self, size_t at)
{
    return at < self->count ? (unsigned)(word_at(self, at) >> RECORD_TAG_SHIFT) : 0xff;
}

/* How many words from `at` on have this tag, counted up to `most`. */
static size_t
run_of(const decoder *self, size_t at, unsigned tag, size_t most)
{
    size_t length = 0;
    while (length < most && tag_at(self, at + length) == tag) {
        length++;
    }
    return length;
}

/* The low `bits` bits as a signed number. */
static int64_t
signed_bits(uint64_t number, int bits)
{
    uint64_t half = UINT64_C(1) << (bits - 1);
    return (int64_t)(((number & (half * 2 - 1)) ^ half) - half);
}

/* Takes `cost` bytes of the limit. False: they exceed it, and one fact is counted as left out. */
static bool
reserve_cost(decoder *self, size_t cost)
{
    if (cost > self->limits->memory - self->facts->taken) {
        self->facts->left_out++;
        return false;
    }
    self->facts->taken += cost;
    return true;
}

/* The number of the entry for a file and context, NO_MEMORY or OVER_LIMIT. */
static int64_t
entry_for(decoder *self, uint64_t key)
{
    journal_facts *facts = self->facts;
    uint32_t number = key_index_find(&facts->keys, key);
    if (number != KEY_MISSING) {
        return number;
    }
    if (!reserve_cost(self, ENTRY_COST)) {
        return OVER_LIMIT;
    }
    facts_entry *moved =
        grown(facts->entries, facts->keys.used, &facts->entries_room, sizeof(*facts->entries));
    if (moved == NULL) {
        return NO_MEMORY;
    }
    facts->entries = moved;
    number = key_index_add(&facts->keys, key);
    if (number == KEY_MISSING) {
        return NO_MEMORY;
    }
    facts->entries[number] = (facts_entry){0};
    return number;
}

static int
add_out_of_range(decoder *self, out_of_range_fact fact)
{
    journal_facts *facts = self->facts;
    if (!reserve_cost(self, OUT_OF_RANGE_COST)) {
        return 0;
    }
    out_of_range_fact *moved = grown(facts->out_of_range, facts->out_of_range_used,
                                     &facts->out_of_range_room, sizeof(*moved));
    if (moved == NULL) {
        return -1;
    }
    facts->out_of_range = moved;
    facts->out_of_range[facts->out_of_range_used++] = fact;
    return 0;
}

static int
add_line_to(decoder *self, uint32_t entry, uint32_t line)
{
    line_set *lines = &self->facts->entries[entry].lines;
    uint32_t blocks = line / 64 + 1;
    if (blocks > lines->used) {
        uint32_t room = lines->room;
        if (blocks > room && !reserve_cost(self, ((size_t)blocks * 2 - room) * 8)) {
            return 0;
        }
        /* Most files have their lines within the first 1,024. */
        if ((room == 0 && blocks < FIRST_BLOCKS && line_set_reserve(lines, FIRST_BLOCKS) < 0) ||
            line_set_extend(lines, blocks) < 0) {
            return -1;
        }
    }
    line_set_add(lines, line);
    return 0;
}

static int
add_wide_line(decoder *self, uint64_t key, uint64_t line)
{
    if (line > self->limits->largest_line) {
        return add_out_of_range(self, (out_of_range_fact){.key = key, .to = (int64_t)line});
    }
    int64_t entry = entry_for(self, key);
    if (entry < 0) {
        return entry == OVER_LIMIT ? 0 : -1;
    }
    return add_line_to(self, (uint32_t)entry, (uint32_t)line);
}

static int
add_arc(decoder *self, uint64_t key, int64_t from, int64_t to)
{
    int64_t largest = self->limits->largest_line;
    if (from > largest || from < -largest || to > largest || to < -largest) {
        return add_out_of_range(
            self, (out_of_range_fact){.key = key, .is_arc = true, .from = from, .to = to});
    }
    int64_t entry = entry_for(self, key);
    if (entry < 0) {
        return entry == OVER_LIMIT ? 0 : -1;
    }
    if (!reserve_cost(self, 2 * sizeof(uint64_t))) {
        return 0;
    }
    return arc_set_append(&self->facts->entries[entry].arcs, arc_of((int32_t)from, (int32_t)to));
}

/* A run of LINE words from word `at` on. Gives where it ends, or 0 without memory.
 *
 * Most words have the file, the context and the block of 64 lines of the word before. So the bits
 * of a block are collected in a register, and stored when the block changes. */
static inline __attribute__((always_inline)) size_t
add_lines_of(decoder *self, size_t at, bool swapped)
{
    const uint8_t *words = self->words;
    const size_t count = self->count;
    uint64_t block_word = 0; /* a word of the block that `bits` belong to */
    uint64_t last_key = 0, bits = 0, no_block = 0;
    uint64_t *block = &no_block; /* where `bits` are stored */
    uint64_t *blocks = NULL;     /* of the entry; 64 * `room` is the first line without a place */
    uint32_t room = 0;
    int64_t entry = OVER_LIMIT;
    for (; at < count; at++) {
        uint64_t word;
        memcpy(&word, words + at * RECORD_WORD_SIZE, sizeof(word));
        word = swapped ? __builtin_bswap64(word) : word;
        if (((word ^ block_word) & ~LINE_IN_BLOCK_BITS) == 0 && block != &no_block) {
            bits |= UINT64_C(1) << (word >> LINE_LINE_SHIFT & 63);
            continue;
        }
        *block |= bits;
        bits = 0;
        block = &no_block;
        if (word >> NIBBLE_SHIFT != RECORD_LINE_NIBBLE) {
            break;
        }
        /* With the nibble, so that no key equals the first value of `last_key`. */
        uint64_t key = word & (LINE_KEY_BITS | UINT64_C(0xf) << NIBBLE_SHIFT);
        uint32_t line = word >> LINE_LINE_SHIFT & RECORD_MASK(RECORD_LINE_LINE_BITS);
        if (key != last_key) {
            last_key = key;
            uint64_t file = word >> LINE_FILE_SHIFT & RECORD_MASK(RECORD_LINE_FILE_BITS);
            entry = entry_for(self, file << 32 | (word & RECORD_MASK(RECORD_LINE_CONTEXT_BITS)));
            room = 0;
        } else if (entry == OVER_LIMIT) {
            self->facts->left_out++;
        }
        if (entry == NO_MEMORY) {
            return 0;
        }
        if (entry >= 0 && line / 64 >= room) {
            if (add_line_to(self, (uint32_t)entry, line) < 0) {
                return 0;
            }
            blocks = self->facts->entries[entry].lines.blocks;
            room = self->facts->entries[entry].lines.used;
        }
        if (line / 64 < room) {
            block_word = word;
            block = &blocks[line / 64];
            bits = UINT64_C(1) << (line % 64);
        }
    }
    *block |= bits;
    return at;
}

static size_t
add_lines(decoder *self, size_t at)
{
    return self->format.swapped ? add_lines_of(self, at, true) : add_lines_of(self, at, false);
}

/* Whether a word is an arc of one word. */
static bool
is_near(words_format format, uint64_t word)
{
    const unsigned nibbles =
        1u << RECORD_NEAR_NIBBLE | 1u << RECORD_ENTER_NIBBLE | 1u << RECORD_LEAVE_NIBBLE;
    return format.version >= 2 && (nibbles >> (word >> NIBBLE_SHIFT) & 1) != 0;
}

/* A run of arcs of one word each. Gives where it ends, or 0 without memory. */
static inline __attribute__((always_inline)) size_t
add_near_arcs_of(decoder *self, size_t at, bool swapped)
{
    const words_format format = self->format;
    const uint8_t *words = self->words;
    const size_t count = self->count;
    uint64_t last_key = UINT64_MAX;
    arc_set *into = NULL;
    for (; at < count; at++) {
        uint64_t word;
        memcpy(&word, words + at * RECORD_WORD_SIZE, sizeof(word));
        word = swapped ? __builtin_bswap64(word) : word;
        if (!is_near(format, word)) {
            break;
        }
        if ((word & NEAR_KEY_BITS) != last_key) {
            last_key = word & NEAR_KEY_BITS;
            uint64_t file = word >> NEAR_FILE_SHIFT & RECORD_MASK(RECORD_NEAR_FILE_BITS);
            int64_t entry =
                entry_for(self, file << 32 | (word & RECORD_MASK(RECORD_NEAR_CONTEXT_BITS)));
            if (entry == NO_MEMORY) {
                return 0;
            }
            into = entry < 0 ? NULL : &self->facts->entries[entry].arcs;
            if (into == NULL) {
                continue;
            }
        } else if (into == NULL) {
            self->facts->left_out++;
            continue;
        }
        if (!reserve_cost(self, 2 * sizeof(uint64_t))) {
            continue;
        }
        unsigned nibble = (unsigned)(word >> NIBBLE_SHIFT);
        int32_t line = word >> NEAR_LINE_SHIFT & RECORD_MASK(RECORD_NEAR_LINE_BITS);
        int32_t other =
            line + (int32_t)signed_bits(word >> NEAR_DIFFERENCE_SHIFT, RECORD_NEAR_DIFFERENCE_BITS);
        if (arc_set_append(into, arc_of(nibble == RECORD_ENTER_NIBBLE ? -line : line,
                                        nibble == RECORD_LEAVE_NIBBLE ? -other : other)) < 0) {
            return 0;
        }
    }
    return at;
}

static size_t
add_near_arcs(decoder *self, size_t at)
{
    return self->format.swapped ? add_near_arcs_of(self, at, true)
                                : add_near_arcs_of(self, at, false);
}

/* The blob whose head is word `at`. Gives where the next record begins, or 0 without memory. */
static size_t
add_blob(decoder *self, size_t at)
{
    journal_facts *facts = self->facts;
    uint64_t head = word_at(self, at);
    uint32_t size = head >> RECORD_BLOB_CHECK_BITS & RECORD_MASK(RECORD_BLOB_LENGTH_BITS);
    size_t needed = (size + RECORD_DATA_BYTES - 1) / RECORD_DATA_BYTES;
    size_t available = run_of(self, at + 1, RECORD_TAG_DATA, needed);
    size_t next = at + 1 + available;
    if (available < needed) {
        facts->damaged_blobs++;
        return next;
    }
    size_t room = facts->texts_used + needed * RECORD_DATA_BYTES + 1;
    if (room > facts->texts_room) {
        uint8_t *moved = realloc(facts->texts, room * 2);
        if (moved == NULL) {
            return 0;
        }
        facts->texts = moved;
        facts->texts_room = room * 2;
    }
    uint8_t *text = facts->texts + facts->texts_used;
    for (size_t word = 0; word < needed; word++) {
        uint64_t data = word_at(self, at + 1 + word);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
        /* Eight bytes at once: the next word overwrites the tag, and there is room for the last. */
        memcpy(text + word * RECORD_DATA_BYTES, &data, sizeof(data));
#else
        for (size_t byte = 0; byte < RECORD_DATA_BYTES; byte++) {
            text[word * RECORD_DATA_BYTES + byte] = (uint8_t)(data >> (8 * byte));
        }
#endif
    }
    uint64_t check = head & RECORD_MASK(RECORD_BLOB_CHECK_BITS);
    if ((blobs_crc32(text, size) & RECORD_MASK(RECORD_BLOB_CHECK_BITS)) != check) {
        facts->damaged_blobs++;
        return next;
    }
    unsigned type = head >> RECORD_BLOB_TYPE_SHIFT & 0xff;
    return blobs_add(facts, type, size, self->format.swapped) < 0 ? 0 : next;
}

/* The record at word `at`, or the rest of a torn one. Gives where the next record begins, or 0
 * without memory. */
static size_t
add_record(decoder *self, size_t at)
{
    journal_facts *facts = self->facts;
    uint64_t head = word_at(self, at);
    uint64_t key = head & BELOW_TAG;
    unsigned tag = (unsigned)(head >> RECORD_TAG_SHIFT);
    switch (tag) {
    case RECORD_TAG_UNWRITTEN:
        /* The head is stored last: what follows the zeros may be the rest of that record. */
        facts->torn++;
        at += run_of(self, at, RECORD_TAG_UNWRITTEN, SIZE_MAX);
        size_t numbers = run_of(self, at, RECORD_TAG_CONT, 2);
        return at + (numbers > 0 ? numbers : run_of(self, at, RECORD_TAG_DATA, SIZE_MAX));
    case RECORD_TAG_ARC:
        if (run_of(self, at + 1, RECORD_TAG_CONT, 1) == 1) {
            uint64_t pair = word_at(self, at + 1);
            int64_t from = signed_bits(pair >> RECORD_ARC_END_BITS, RECORD_ARC_END_BITS);
            int64_t to = signed_bits(pair, RECORD_ARC_END_BITS);
            return add_arc(self, key, from, to) < 0 ? 0 : at + 2;
        }
        break;
    case RECORD_TAG_LINE_WIDE:
        if (run_of(self, at + 1, RECORD_TAG_CONT, 1) == 1) {
            uint64_t line = word_at(self, at + 1) & RECORD_MASK(RECORD_CONT_BITS);
            return add_wide_line(self, key, line) < 0 ? 0 : at + 2;
        }
        break;
    case RECORD_TAG_ARC_WIDE:
        if (run_of(self, at + 1, RECORD_TAG_CONT, 2) == 2) {
            int64_t from = signed_bits(word_at(self, at + 1), RECORD_CONT_BITS);
            int64_t to = signed_bits(word_at(self, at + 2), RECORD_CONT_BITS);
            return add_arc(self, key, from, to) < 0 ? 0 : at + 3;
        }
        break;
    case RECORD_TAG_BLOB:
        return add_blob(self, at);
    default:
        if (head >> NIBBLE_SHIFT == RECORD_LINE_NIBBLE) {
            return add_lines(self, at);
        }
        if (is_near(self->format, head)) {
            return add_near_arcs(self, at);
        }
    }
    facts->stray_words++;
    return at + 1;
}

int
words_decode(journal_facts *facts, const uint8_t *words, size_t count, words_format format,
             const fact_limits *limits)
{
    decoder self = {
        .facts = facts, .words = words, .count = count, .format = format, .limits = limits};
    for (size_t at = 0; at < count;) {
        at = add_record(&self, at);
        if (at == 0) {
            return -1;
        }
    }
    for (uint32_t entry = 0; entry < facts->keys.used; entry++) {
        if (arc_set_normalize(&facts->entries[entry].arcs) < 0) {
            return -1;
        }
    }
    return 0;
}

void
journal_facts_free(journal_facts *facts)
{
    for (uint32_t entry = 0; entry < facts->keys.used; entry++) {
        line_set_free(&facts->entries[entry].lines);
        arc_set_free(&facts->entries[entry].arcs);
    }
    free(facts->entries);
    key_index_free(&facts->keys);
    free(facts->files.items);
    free(facts->contexts.items);
    free(facts->others);
    free(facts->out_of_range);
    free(facts->texts);
    *facts = (journal_facts){0};
}
