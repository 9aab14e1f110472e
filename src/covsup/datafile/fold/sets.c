/* fold/sets.c - sets of lines, sets of arcs, and an index of 64-bit keys: see fold/sets.h. */
#include "fold/sets.h"

#include <stdlib.h>
#include <string.h>

void *
grown_items(void *items, size_t *room, size_t size)
{
    size_t wanted = *room < 8 ? 8 : *room * 2;
    if (wanted > SIZE_MAX / 2 / size) {
        return NULL;
    }
    void *moved = realloc(items, wanted * size);
    if (moved != NULL) {
        *room = wanted;
    }
    return moved;
}

/* Lines. */

int
line_set_reserve(line_set *set, uint32_t room)
{
    uint64_t *moved = realloc(set->blocks, (size_t)room * sizeof(*moved));
    if (moved == NULL) {
        return -1;
    }
    set->blocks = moved;
    set->room = room;
    return 0;
}

int
line_set_extend(line_set *set, uint32_t blocks)
{
    if (blocks > set->room) {
        uint32_t room = set->room * 2 > blocks ? set->room * 2 : blocks;
        if (line_set_reserve(set, room) < 0) {
            return -1;
        }
    }
    if (blocks > set->used) {
        memset(set->blocks + set->used, 0, (size_t)(blocks - set->used) * sizeof(*set->blocks));
        set->used = blocks;
    }
    return 0;
}

int
line_set_unite(line_set *into, const line_set *from)
{
    if (line_set_extend(into, from->used) < 0) {
        return -1;
    }
    for (uint32_t at = 0; at < from->used; at++) {
        into->blocks[at] |= from->blocks[at];
    }
    return 0;
}

uint64_t
line_set_count(const line_set *set)
{
    uint64_t count = 0;
    for (uint32_t at = 0; at < set->used; at++) {
        count += (uint64_t)__builtin_popcountll(set->blocks[at]);
    }
    return count;
}

size_t
line_set_size(const line_set *set)
{
    uint32_t used = set->used;
    while (used > 0 && set->blocks[used - 1] == 0) {
        used--;
    }
    if (used == 0) {
        return 0;
    }
    int unused_bits = __builtin_clzll(set->blocks[used - 1]);
    return (size_t)used * 8 - (size_t)(unused_bits / 8);
}

void
line_set_export(const line_set *set, uint8_t *bytes, size_t size)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    if (size > 0) {
        memcpy(bytes, set->blocks, size);
    }
#else
    for (size_t at = 0; at < size; at++) {
        bytes[at] = (uint8_t)(set->blocks[at / 8] >> (at % 8 * 8));
    }
#endif
}

void
line_set_free(line_set *set)
{
    free(set->blocks);
    *set = (line_set){0};
}

/* Arcs. */

/* A merge sort that starts from short sorted runs: much of a journal is sorted already. */
static int
sort(uint64_t *arcs, size_t count)
{
    size_t sorted = 1;
    while (sorted < count && arcs[sorted - 1] <= arcs[sorted]) {
        sorted++;
    }
    if (sorted >= count) {
        return 0;
    }
    /* Sort short runs by insertion, so that few are left to merge. */
    const size_t shortest = 16;
    for (size_t begin = 0; begin < count; begin += shortest) {
        size_t end = begin + shortest < count ? begin + shortest : count;
        for (size_t at = begin + 1; at < end; at++) {
            uint64_t arc = arcs[at];
            size_t to = at;
            for (; to > begin && arcs[to - 1] > arc; to--) {
                arcs[to] = arcs[to - 1];
            }
            arcs[to] = arc;
        }
    }
    if (count <= shortest) {
        return 0;
    }
    uint64_t few[256];
    bool is_many = count > sizeof(few) / sizeof(*few);
    uint64_t *other = is_many ? malloc(count * sizeof(*other)) : few;
    if (other == NULL) {
        return -1;
    }
    uint64_t *source = arcs, *target = other;
    for (size_t width = shortest; width < count; width *= 2) {
        for (size_t begin = 0; begin < count; begin += 2 * width) {
            size_t middle = begin + width < count ? begin + width : count;
            size_t end = middle + width < count ? middle + width : count;
            size_t left = begin, right = middle;
            for (size_t to = begin; to < end; to++) {
                bool take_left = left < middle && (right == end || source[left] <= source[right]);
                target[to] = take_left ? source[left++] : source[right++];
            }
        }
        uint64_t *swap = source;
        source = target;
        target = swap;
    }
    if (source != arcs) {
        memcpy(arcs, source, count * sizeof(*arcs));
    }
    if (is_many) {
        free(other);
    }
    return 0;
}

int
arc_set_normalize(arc_set *set)
{
    if (set->used < 2) {
        return 0;
    }
    if (sort(set->arcs, set->used) < 0) {
        return -1;
    }
    size_t kept = 1;
    for (size_t at = 1; at < set->used; at++) {
        if (set->arcs[at] != set->arcs[kept - 1]) {
            set->arcs[kept++] = set->arcs[at];
        }
    }
    set->used = kept;
    return 0;
}

int
arc_set_unite(arc_set *into, const arc_set *from)
{
    /* Count first: mostly nothing is new. */
    size_t mine = 0, missing = 0;
    for (size_t at = 0; at < from->used; at++) {
        while (mine < into->used && into->arcs[mine] < from->arcs[at]) {
            mine++;
        }
        missing += mine == into->used || into->arcs[mine] != from->arcs[at];
    }
    if (missing == 0) {
        return 0;
    }
    size_t used = into->used + missing;
    if (used > into->room) {
        uint64_t *moved = realloc(into->arcs, used * sizeof(*moved));
        if (moved == NULL) {
            return -1;
        }
        into->arcs = moved;
        into->room = used;
    }
    /* Merge from the end, so that no arc is overwritten before it is read. */
    size_t to = used, left = into->used, right = from->used;
    while (right > 0) {
        if (left > 0 && into->arcs[left - 1] >= from->arcs[right - 1]) {
            right -= into->arcs[left - 1] == from->arcs[right - 1];
            into->arcs[--to] = into->arcs[--left];
        } else {
            into->arcs[--to] = from->arcs[--right];
        }
    }
    into->used = used;
    return 0;
}

int
line_set_add_ends(line_set *lines, const arc_set *arcs)
{
    int32_t largest = 0;
    for (size_t at = 0; at < arcs->used; at++) {
        int32_t from = arc_from(arcs->arcs[at]), to = arc_to(arcs->arcs[at]);
        largest = from > largest ? from : largest;
        largest = to > largest ? to : largest;
    }
    if (line_set_extend(lines, (uint32_t)largest / 64 + 1) < 0) {
        return -1;
    }
    for (size_t at = 0; at < arcs->used; at++) {
        int32_t from = arc_from(arcs->arcs[at]), to = arc_to(arcs->arcs[at]);
        line_set_add(lines, from > 0 ? (uint32_t)from : 0);
        line_set_add(lines, to > 0 ? (uint32_t)to : 0);
    }
    lines->blocks[0] &= ~UINT64_C(1);
    return 0;
}

void
arc_set_free(arc_set *set)
{
    free(set->arcs);
    *set = (arc_set){0};
}

/* Keys. */

static uint64_t
mixed(const key_index *index, uint64_t key)
{
    /* murmur3's finalizer. */
    key ^= index->seed;
    key = (key ^ key >> 33) * UINT64_C(0xff51afd7ed558ccd);
    key = (key ^ key >> 33) * UINT64_C(0xc4ceb9fe1a85ec53);
    return key ^ key >> 33;
}

/* The slot of a key, or the free one where it belongs. There are twice as many slots as keys, a
 * power of two. */
static uint32_t *
slot_of(const key_index *index, uint64_t key)
{
    uint32_t mask = index->room * 2 - 1;
    uint32_t at = (uint32_t)mixed(index, key) & mask;
    while (index->slots[at] != 0 && index->keys[index->slots[at] - 1] != key) {
        at = (at + 1) & mask;
    }
    return &index->slots[at];
}

uint32_t
key_index_find(const key_index *index, uint64_t key)
{
    uint32_t slot = index->room == 0 ? 0 : *slot_of(index, key);
    return slot == 0 ? KEY_MISSING : slot - 1;
}

static int
enlarge(key_index *index)
{
    uint32_t room = index->room == 0 ? 32 : index->room * 2;
    if (room > UINT32_MAX / 4) {
        return -1;
    }
    uint32_t *slots = calloc((size_t)room * 2, sizeof(*slots));
    uint64_t *keys = slots == NULL ? NULL : realloc(index->keys, (size_t)room * sizeof(*keys));
    if (keys == NULL) {
        free(slots);
        return -1;
    }
    free(index->slots);
    index->keys = keys;
    index->slots = slots;
    index->room = room;
    for (uint32_t number = 0; number < index->used; number++) {
        *slot_of(index, keys[number]) = number + 1;
    }
    return 0;
}

uint32_t
key_index_add(key_index *index, uint64_t key)
{
    uint32_t number = key_index_find(index, key);
    if (number != KEY_MISSING) {
        return number;
    }
    if (index->used == index->room && enlarge(index) < 0) {
        return KEY_MISSING;
    }
    number = index->used++;
    index->keys[number] = key;
    *slot_of(index, key) = number + 1;
    return number;
}

void
key_index_free(key_index *index)
{
    free(index->keys);
    free(index->slots);
    *index = (key_index){.seed = index->seed};
}
