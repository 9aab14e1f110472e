/* journal/words.c - sort the words of a journal: see journal/words.h. */
#include "journal/words.h"

#include <stdlib.h>
#include <string.h>

enum tag {
    TAG_UNWRITTEN = 0x00,
    TAG_LINE_FIRST = 0x10,
    TAG_LINE_LAST = 0x1f,
    TAG_NEAR = 0x70,  /* to 0x7f */
    TAG_ENTER = 0xb0, /* to 0xbf */
    TAG_LEAVE = 0xd0, /* to 0xdf */
    TAG_ARC = 0x20,
    TAG_LINE_WIDE = 0x21,
    TAG_ARC_WIDE = 0x22,
    TAG_CONT = 0x30,
    TAG_DATA = 0x31,
    TAG_BLOB = 0x40,
};

#define LINE_KEY_BITS UINT64_C(0x0ffffc00003fffff) /* file id and context id of a LINE */
#define LINE_IN_BLOCK_BITS (UINT64_C(63) << 22)    /* the line's place in a block of 64 */
#define NEAR_KEY_BITS UINT64_C(0x0ffff00000007fff) /* and of an arc of one word */
#define BYTES_OF_DATA 7

/* What an owner and a far fact cost besides their contents, Python's share included. */
#define ENTRY_COST 512
#define FAR_COST 256

enum { FIRST_BLOCKS = 16 }; /* their cost is among that of an owner */

typedef struct {
    journal_facts *sorted;
    const uint8_t *words;
    size_t count;
    words_format format;
    const fact_limits *limits;
} decoder;

static uint64_t
word_at(const decoder *work, size_t at)
{
    uint64_t word;
    memcpy(&word, work->words + at * 8, 8);
    return work->format.swapped ? __builtin_bswap64(word) : word;
}

static unsigned
tag_at(const decoder *work, size_t at)
{
    return at < work->count ? (unsigned)(word_at(work, at) >> 56) : 0xff;
}

/* How many words from `at` on have this tag; at most `most` are looked at. */
static size_t
run_of(const decoder *work, size_t at, unsigned tag, size_t most)
{
    size_t length = 0;
    while (length < most && tag_at(work, at + length) == tag) {
        length++;
    }
    return length;
}

static int64_t
signed_bits(uint64_t number, int bits)
{
    uint64_t half = UINT64_C(1) << (bits - 1);
    return (int64_t)(((number & (half * 2 - 1)) ^ half) - half);
}

/* Whether the facts may cost so much more; a fact that may not be is counted. */
static bool
reserve_cost(decoder *work, size_t cost)
{
    if (cost > work->limits->memory - work->sorted->taken) {
        work->sorted->left_out++;
        return false;
    }
    work->sorted->taken += cost;
    return true;
}

/* The number of an owner. -1: no memory; -2: no room. */
static int64_t
entry_for(decoder *work, uint64_t key)
{
    journal_facts *sorted = work->sorted;
    uint32_t number = key_index_find(&sorted->keys, key);
    if (number != KEY_MISSING) {
        return number;
    }
    if (!reserve_cost(work, ENTRY_COST)) {
        return -2;
    }
    facts_entry *moved =
        grown(sorted->entries, sorted->keys.used, &sorted->entries_room, sizeof(*sorted->entries));
    if (moved == NULL) {
        return -1;
    }
    sorted->entries = moved;
    number = key_index_add(&sorted->keys, key);
    if (number == KEY_MISSING) {
        return -1;
    }
    sorted->entries[number] = (facts_entry){0};
    return number;
}

static int
add_far(decoder *work, out_of_range_fact fact)
{
    journal_facts *sorted = work->sorted;
    if (!reserve_cost(work, FAR_COST)) {
        return 0;
    }
    out_of_range_fact *moved =
        grown(sorted->far, sorted->far_used, &sorted->far_room, sizeof(*moved));
    if (moved == NULL) {
        return -1;
    }
    sorted->far = moved;
    sorted->far[sorted->far_used++] = fact;
    return 0;
}

static int
add_line_to(decoder *work, uint32_t owner, uint32_t line)
{
    line_set *lines = &work->sorted->entries[owner].lines;
    uint32_t blocks = line / 64 + 1;
    if (blocks > lines->used) {
        uint32_t room = lines->room;
        if (blocks > room && !reserve_cost(work, ((size_t)blocks * 2 - room) * 8)) {
            return 0;
        }
        /* Most files have their lines within the first 1,024. */
        if ((room == 0 && blocks < FIRST_BLOCKS && line_set_reserve(lines, FIRST_BLOCKS) < 0) ||
            line_set_reach(lines, blocks) < 0) {
            return -1;
        }
    }
    line_set_add(lines, line);
    return 0;
}

static int
add_wide_line(decoder *work, uint64_t key, uint64_t line)
{
    if (line > work->limits->largest_line) {
        return add_far(work, (out_of_range_fact){.key = key, .to = (int64_t)line});
    }
    int64_t owner = entry_for(work, key);
    if (owner < 0) {
        return owner == -2 ? 0 : -1;
    }
    return add_line_to(work, (uint32_t)owner, (uint32_t)line);
}

static int
add_arc(decoder *work, uint64_t key, int64_t from, int64_t to)
{
    int64_t largest = work->limits->largest_line;
    if (from > largest || from < -largest || to > largest || to < -largest) {
        return add_far(work,
                       (out_of_range_fact){.key = key, .is_arc = true, .from = from, .to = to});
    }
    int64_t owner = entry_for(work, key);
    if (owner < 0) {
        return owner == -2 ? 0 : -1;
    }
    if (!reserve_cost(work, 2 * sizeof(uint64_t))) {
        return 0;
    }
    return arc_set_append(&work->sorted->entries[owner].arcs, arc_of((int32_t)from, (int32_t)to));
}

/* A row of LINE words. Most are of the same owner as the one before and near it: so a block is
 * gathered in a register. Gives where the row ends, or 0 without memory. */
static inline __attribute__((always_inline)) size_t
add_lines_of(decoder *work, size_t at, bool swapped)
{
    const uint8_t *words = work->words;
    const size_t count = work->count;
    uint64_t block_of = 0; /* a word of the block that `bits` are of */
    uint64_t last = 0, bits = 0, no_block = 0;
    uint64_t *block = &no_block; /* where `bits` go */
    uint64_t *blocks = NULL;     /* of the owner; line 64 * `room` is the first without a place */
    uint32_t room = 0;
    int64_t owner = -2;
    for (; at < count; at++) {
        uint64_t word;
        memcpy(&word, words + at * 8, 8);
        word = swapped ? __builtin_bswap64(word) : word;
        if (((word ^ block_of) & ~LINE_IN_BLOCK_BITS) == 0 && block != &no_block) {
            bits |= UINT64_C(1) << (word >> 22 & 63);
            continue;
        }
        *block |= bits;
        bits = 0;
        block = &no_block;
        if (word >> 60 != TAG_LINE_FIRST >> 4) {
            break;
        }
        uint64_t whose = word & (LINE_KEY_BITS | UINT64_C(0xf) << 60);
        uint32_t line = word >> 22 & 0xfffff;
        if (whose != last) {
            last = whose;
            owner = entry_for(work, (word >> 42 & 0x3ffff) << 32 | (word & 0x3fffff));
            room = 0;
        } else if (owner == -2) {
            work->sorted->left_out++;
        }
        if (owner == -1) {
            return 0;
        }
        if (owner >= 0 && line / 64 >= room) {
            if (add_line_to(work, (uint32_t)owner, line) < 0) {
                return 0;
            }
            blocks = work->sorted->entries[owner].lines.blocks;
            room = work->sorted->entries[owner].lines.used;
        }
        if (line / 64 < room) {
            block_of = word;
            block = &blocks[line / 64];
            bits = UINT64_C(1) << (line % 64);
        }
    }
    *block |= bits;
    return at;
}

static size_t
add_lines(decoder *work, size_t at)
{
    return work->format.swapped ? add_lines_of(work, at, true) : add_lines_of(work, at, false);
}

/* Whether a word is a whole arc. */
static bool
is_near(words_format format, uint64_t word)
{
    const unsigned kinds = 1u << (TAG_NEAR >> 4) | 1u << (TAG_ENTER >> 4) | 1u << (TAG_LEAVE >> 4);
    return format.version >= 2 && (kinds >> (word >> 60) & 1) != 0;
}

/* A row of arcs of one word each. Gives where it ends, or 0 without memory. */
static inline __attribute__((always_inline)) size_t
add_near_arcs_of(decoder *work, size_t at, bool swapped)
{
    const words_format format = work->format;
    const uint8_t *words = work->words;
    const size_t count = work->count;
    uint64_t last = UINT64_MAX;
    arc_set *into = NULL;
    for (; at < count; at++) {
        uint64_t word;
        memcpy(&word, words + at * 8, 8);
        word = swapped ? __builtin_bswap64(word) : word;
        if (!is_near(format, word)) {
            break;
        }
        if ((word & NEAR_KEY_BITS) != last) {
            last = word & NEAR_KEY_BITS;
            int64_t owner = entry_for(work, (word >> 44 & 0xffff) << 32 | (word & 0x7fff));
            if (owner == -1) {
                return 0;
            }
            into = owner < 0 ? NULL : &work->sorted->entries[owner].arcs;
            if (into == NULL) {
                continue;
            }
        } else if (into == NULL) {
            work->sorted->left_out++;
            continue;
        }
        if (!reserve_cost(work, 2 * sizeof(uint64_t))) {
            continue;
        }
        int32_t line = word >> 26 & 0x3ffff;
        int32_t other = line + (int32_t)signed_bits(word >> 15, 11);
        unsigned tag = word >> 56 & 0xf0;
        if (arc_set_append(into, arc_of(tag == TAG_ENTER ? -line : line,
                                        tag == TAG_LEAVE ? -other : other)) < 0) {
            return 0;
        }
    }
    return at;
}

static size_t
add_near_arcs(decoder *work, size_t at)
{
    return work->format.swapped ? add_near_arcs_of(work, at, true)
                                : add_near_arcs_of(work, at, false);
}

/* The BLOB whose head is word `at`. Gives where the next record begins, or 0 without memory. */
static size_t
add_blob(decoder *work, size_t at)
{
    journal_facts *sorted = work->sorted;
    uint64_t head = word_at(work, at);
    uint32_t size = head >> 24 & 0xffffff;
    size_t needed = (size + BYTES_OF_DATA - 1) / BYTES_OF_DATA;
    size_t available = run_of(work, at + 1, TAG_DATA, needed);
    size_t next = at + 1 + available;
    if (available < needed) {
        sorted->damaged_blobs++;
        return next;
    }
    size_t room = sorted->texts_used + needed * BYTES_OF_DATA + 1;
    if (room > sorted->texts_room) {
        uint8_t *moved = realloc(sorted->texts, room * 2);
        if (moved == NULL) {
            return 0;
        }
        sorted->texts = moved;
        sorted->texts_room = room * 2;
    }
    uint8_t *text = sorted->texts + sorted->texts_used;
    for (size_t word = 0; word < needed; word++) {
        uint64_t data = word_at(work, at + 1 + word);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
        /* The tag is overwritten by the next one; the room is for one more byte. */
        memcpy(text + word * BYTES_OF_DATA, &data, 8);
#else
        for (int byte = 0; byte < BYTES_OF_DATA; byte++) {
            text[word * BYTES_OF_DATA + (size_t)byte] = (uint8_t)(data >> (8 * byte));
        }
#endif
    }
    if ((blobs_crc32(text, size) & 0xffffff) != (head & 0xffffff)) {
        sorted->damaged_blobs++;
        return next;
    }
    return blobs_add(sorted, head >> 48 & 0xff, size, work->format.swapped) < 0 ? 0 : next;
}

/* The record, or what is left of one, at word `at`. Gives where the next begins; 0: no memory. */
static size_t
add_record(decoder *work, size_t at)
{
    journal_facts *sorted = work->sorted;
    uint64_t head = word_at(work, at);
    uint64_t key = head & UINT64_C(0x00ffffffffffffff);
    unsigned tag = (unsigned)(head >> 56);
    switch (tag) {
    case TAG_UNWRITTEN:
        /* Not finished; with what was stored of it before its head. */
        sorted->torn++;
        at += run_of(work, at, TAG_UNWRITTEN, SIZE_MAX);
        size_t numbers = run_of(work, at, TAG_CONT, 2);
        return at + (numbers > 0 ? numbers : run_of(work, at, TAG_DATA, SIZE_MAX));
    case TAG_ARC:
        if (run_of(work, at + 1, TAG_CONT, 1) == 1) {
            uint64_t pair = word_at(work, at + 1);
            int64_t from = signed_bits(pair >> 28, 28), to = signed_bits(pair, 28);
            return add_arc(work, key, from, to) < 0 ? 0 : at + 2;
        }
        break;
    case TAG_LINE_WIDE:
        if (run_of(work, at + 1, TAG_CONT, 1) == 1) {
            uint64_t line = word_at(work, at + 1) & UINT64_C(0x00ffffffffffffff);
            return add_wide_line(work, key, line) < 0 ? 0 : at + 2;
        }
        break;
    case TAG_ARC_WIDE:
        if (run_of(work, at + 1, TAG_CONT, 2) == 2) {
            int64_t from = signed_bits(word_at(work, at + 1), 56);
            int64_t to = signed_bits(word_at(work, at + 2), 56);
            return add_arc(work, key, from, to) < 0 ? 0 : at + 3;
        }
        break;
    case TAG_BLOB:
        return add_blob(work, at);
    default:
        if (tag >= TAG_LINE_FIRST && tag <= TAG_LINE_LAST) {
            return add_lines(work, at);
        }
        if (is_near(work->format, head)) {
            return add_near_arcs(work, at);
        }
    }
    sorted->stray_words++;
    return at + 1;
}

int
words_decode(journal_facts *sorted, const uint8_t *words, size_t count, words_format format,
             const fact_limits *limits)
{
    decoder work = {
        .sorted = sorted, .words = words, .count = count, .format = format, .limits = limits};
    for (size_t at = 0; at < count;) {
        at = add_record(&work, at);
        if (at == 0) {
            return -1;
        }
    }
    for (uint32_t owner = 0; owner < sorted->keys.used; owner++) {
        if (arc_set_settle(&sorted->entries[owner].arcs) < 0) {
            return -1;
        }
    }
    return 0;
}

void
journal_facts_free(journal_facts *sorted)
{
    for (uint32_t owner = 0; owner < sorted->keys.used; owner++) {
        line_set_free(&sorted->entries[owner].lines);
        arc_set_free(&sorted->entries[owner].arcs);
    }
    free(sorted->entries);
    key_index_free(&sorted->keys);
    free(sorted->files.items);
    free(sorted->contexts.items);
    free(sorted->others);
    free(sorted->far);
    free(sorted->texts);
    *sorted = (journal_facts){0};
}
