/* words_fuzz.c - a libFuzzer target: any words decode within the limits, and
 * uniting the facts is commutative and idempotent.
 *
 * The first byte of an input chooses the byte order, the memory allowed and the version; the words
 * follow. Most mutations end with checksums that are right, for a text with a wrong one is not
 * looked at.
 * test_fuzz.py compiles it: clang -fsanitize=fuzzer,address,undefined, with word_decoder.c,
 * blobs.c, sets.c. */
#include "journal/word_decoder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LARGEST_LINE = (1 << 24) - 1 };

static void
demand(bool so, const char *what)
{
    if (!so) {
        fprintf(stderr, "not so: %s\n", what);
        abort();
    }
}

static void
check_owned(const facts_entry *entries)
{
    demand(entries->lines.used <= LARGEST_LINE / 64 + 1, "lines are within the limit");
    for (size_t at = 0; at < entries->arcs.used; at++) {
        uint64_t arc = entries->arcs.arcs[at];
        demand(at == 0 || entries->arcs.arcs[at - 1] < arc, "arcs are normalized");
        demand(abs(arc_from(arc)) <= LARGEST_LINE && abs(arc_to(arc)) <= LARGEST_LINE,
               "arcs are within the limit");
    }
    size_t size = line_set_size(&entries->lines);
    uint8_t *bytes = malloc(size + 1);
    line_set_export(&entries->lines, bytes, size);
    uint64_t count = 0;
    for (size_t at = 0; at < size; at++) {
        count += (uint64_t)__builtin_popcount(bytes[at]);
    }
    demand(count == line_set_count(&entries->lines), "what is exported is what is there");
    demand(size == 0 || bytes[size - 1] != 0, "no byte too many is exported");
    free(bytes);
}

static void
check_definitions(const journal_facts *sorted, const definitions *found)
{
    for (size_t at = 0; at < found->used; at++) {
        const definition *one = &found->items[at];
        size_t length = (size_t)one->size + (one->module > 0 ? 1 + one->module : 0);
        demand(one->at + length <= sorted->texts_used, "a definition is among the texts");
    }
}

static void
check(const journal_facts *sorted, const fact_limits *limits)
{
    demand(sorted->taken <= limits->memory, "no more memory than allowed");
    for (uint32_t at = 0; at < sorted->keys.used; at++) {
        demand(key_index_find(&sorted->keys, sorted->keys.keys[at]) == at, "each key is found");
        check_owned(&sorted->entries[at]);
    }
    check_definitions(sorted, &sorted->files);
    check_definitions(sorted, &sorted->contexts);
    for (size_t at = 0; at < sorted->others_used; at++) {
        const other_blob *text = &sorted->others[at];
        demand(text->at + text->size <= sorted->texts_used, "a text is among the texts");
    }
    for (size_t at = 0; at < sorted->out_of_range_used; at++) {
        const out_of_range_fact *far = &sorted->out_of_range[at];
        demand(far->to > LARGEST_LINE || far->to < -LARGEST_LINE || far->from > LARGEST_LINE ||
                   far->from < -LARGEST_LINE,
               "what is far is far");
    }
}

static bool
same_lines(const line_set *one, const line_set *other)
{
    size_t size = line_set_size(one);
    return size == line_set_size(other) &&
           (size == 0 || memcmp(one->blocks, other->blocks, size) == 0);
}

static bool
same_arcs(const arc_set *one, const arc_set *other)
{
    return one->used == other->used &&
           (one->used == 0 || memcmp(one->arcs, other->arcs, one->used * 8) == 0);
}

static void
unite(facts_entry *into, const facts_entry *from)
{
    demand(line_set_unite(&into->lines, &from->lines) == 0, "there is memory");
    demand(arc_set_unite(&into->arcs, &from->arcs) == 0, "there is memory");
}

static void
free_owned(facts_entry *entries)
{
    line_set_free(&entries->lines);
    arc_set_free(&entries->arcs);
}

static void
check_union(const facts_entry *one, const facts_entry *other)
{
    facts_entry forth = {0}, back = {0};
    unite(&forth, one);
    unite(&forth, other);
    unite(&back, other);
    unite(&back, one);
    unite(&back, other);
    unite(&back, &forth);
    check_owned(&forth);
    demand(same_lines(&forth.lines, &back.lines), "lines: the order does not matter");
    demand(same_arcs(&forth.arcs, &back.arcs), "arcs: the order does not matter");
    free_owned(&forth);
    free_owned(&back);
}

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t most);

/* CRC-32, written a second time, and plainly. */
static uint32_t
crc_of(const uint8_t *bytes, size_t size)
{
    uint32_t crc = UINT32_MAX;
    for (size_t at = 0; at < size; at++) {
        crc ^= bytes[at];
        for (int bit = 0; bit < 8; bit++) {
            crc = crc & 1 ? crc >> 1 ^ UINT32_C(0xedb88320) : crc >> 1;
        }
    }
    return ~crc;
}

/* Gives every text whose words are all there the checksum that it needs. */
static void
mend(uint8_t *words, size_t count)
{
    uint64_t *all = malloc(count * 8 + 8);
    uint8_t *text = malloc(count * 8 + 8);
    memcpy(all, words, count * 8);
    for (size_t at = 0; at < count; at++) {
        size_t size = all[at] >> 24 & 0xffffff, needed = (size + 6) / 7, there = 0;
        if (all[at] >> 56 != 0x40) {
            continue;
        }
        while (there < needed && at + 1 + there < count && all[at + 1 + there] >> 56 == 0x31) {
            memcpy(text + 7 * there, &all[at + 1 + there], 7);
            there++;
        }
        if (there == needed) {
            all[at] = (all[at] & ~UINT64_C(0xffffff)) | (crc_of(text, size) & 0xffffff);
        }
    }
    memcpy(words, all, count * 8);
    free(text);
    free(all);
}

size_t
LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed)
{
    size = LLVMFuzzerMutate(data, size, most);
    if (seed % 8 != 0 && size > 8 && !(data[0] & 1)) {
        mend(data + 1, (size - 1) / 8);
    }
    return size;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    words_format format = {.swapped = data[0] & 1, .version = data[0] & 4 ? 1 : 2};
    fact_limits limits = {.largest_line = LARGEST_LINE,
                          .memory = data[0] & 2 ? 4096 : (size_t)64 << 20};
    size_t count = (size - 1) / 8, half = count / 2;
    /* As large as it is, so that a word too many that is read is seen. */
    uint8_t *words = malloc(count * 8 + 1);
    memcpy(words, data + 1, count * 8);
    journal_facts sorted[3] = {{.keys.seed = 1}, {.keys.seed = 2}, {.keys.seed = 3}};
    demand(words_decode(&sorted[0], words, count, format, &limits) == 0, "there is memory");
    demand(words_decode(&sorted[1], words, half, format, &limits) == 0, "there is memory");
    demand(words_decode(&sorted[2], words + half * 8, count - half, format, &limits) == 0,
           "there is memory");
    for (int which = 0; which < 3; which++) {
        check(&sorted[which], &limits);
    }
    for (uint32_t at = 0; at < sorted[1].keys.used && at < 64; at++) {
        uint32_t other = key_index_find(&sorted[2].keys, sorted[1].keys.keys[at]);
        if (other != KEY_MISSING) {
            check_union(&sorted[1].entries[at], &sorted[2].entries[other]);
        }
    }
    for (int which = 0; which < 3; which++) {
        journal_facts_free(&sorted[which]);
    }
    free(words);
    return 0;
}
