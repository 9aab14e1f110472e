/* fold/sets.h - sets of lines, sets of arcs, and an index of 64-bit keys.
 *
 * A function that needs memory gives -1 where there is none. The set is then what it was.
 * Threads: no state; no two threads may use one set at a time.
 * Must never know: Python, journals. */
#ifndef COVSUP_FOLD_SETS_H
#define COVSUP_FOLD_SETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Doubles the room of an array, whose items have `size` bytes each. The new address, or NULL. */
void *grown_items(void *items, size_t *room, size_t size);

/* Makes room for one more item of `size` bytes. The array's address, which may be new, or NULL. */
static inline void *
grown(void *items, size_t used, size_t *room, size_t size)
{
    return used < *room ? items : grown_items(items, room, size);
}

/* A set of lines: bit n % 64 of block n / 64 is line n. */
typedef struct {
    uint64_t *blocks;
    uint32_t used, room;
} line_set;

/* Allocates `room` blocks, and does not use them. */
int line_set_reserve(line_set *set, uint32_t room);
/* Uses at least `blocks` blocks. New ones are empty. */
int line_set_extend(line_set *set, uint32_t blocks);
int line_set_unite(line_set *into, const line_set *from);
uint64_t line_set_count(const line_set *set);
/* How many bytes the set has up to its last line, and these bytes, little-endian on every machine.
 */
size_t line_set_size(const line_set *set);
void line_set_export(const line_set *set, uint8_t *bytes, size_t size);
void line_set_free(line_set *set);

static inline void
line_set_add(line_set *set, uint32_t line)
{
    set->blocks[line >> 6] |= UINT64_C(1) << (line & 63);
}

/* A set of arcs, as numbers that sort as the arcs do. Normalized: sorted, without duplicates. */
typedef struct {
    uint64_t *arcs;
    size_t used, room;
} arc_set;

static inline uint64_t
arc_of(int32_t from, int32_t to)
{
    return (uint64_t)((uint32_t)from ^ UINT32_C(0x80000000)) << 32 |
           ((uint32_t)to ^ UINT32_C(0x80000000));
}

static inline int32_t
arc_from(uint64_t arc)
{
    return (int32_t)((uint32_t)(arc >> 32) ^ UINT32_C(0x80000000));
}

static inline int32_t
arc_to(uint64_t arc)
{
    return (int32_t)((uint32_t)arc ^ UINT32_C(0x80000000));
}

static inline int
arc_set_append(arc_set *set, uint64_t arc)
{
    uint64_t *moved = (uint64_t *)grown(set->arcs, set->used, &set->room, sizeof(*set->arcs));
    if (moved == NULL) {
        return -1;
    }
    set->arcs = moved;
    set->arcs[set->used++] = arc;
    return 0;
}

int arc_set_normalize(arc_set *set);
/* Both must be normalized. */
int arc_set_unite(arc_set *into, const arc_set *from);
void arc_set_free(arc_set *set);
/* Adds the lines that arcs begin or end at. A negative or zero end is not a line. */
int line_set_add_ends(line_set *lines, const arc_set *arcs);

/* A hash table that numbers keys in the order in which they come. The seed is secret, so that no
 * journal can be made whose keys all collide. */
typedef struct {
    uint64_t *keys;
    uint32_t *slots; /* 1 + number; 0 = free */
    uint32_t used, room;
    uint64_t seed;
} key_index;

#define KEY_MISSING UINT32_MAX

/* The number of a key, or KEY_MISSING. */
uint32_t key_index_find(const key_index *index, uint64_t key);
/* The number of a key. A new key gets the next number. KEY_MISSING without memory. */
uint32_t key_index_add(key_index *index, uint64_t key);
void key_index_free(key_index *index);

#endif
