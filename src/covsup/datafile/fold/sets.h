/* fold/sets.h - sets of lines, sets of arcs, and an index of 64-bit keys.
 *
 * Threads: no state; a set belongs to whoever holds it.
 * Every function that may need memory gives -1 where there is none, and the set is then what it
 * was. Must never know: Python, journals. */
#ifndef COVSUP_FOLD_SETS_H
#define COVSUP_FOLD_SETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The same once there is no room. */
void *grown_items(void *items, size_t *room, size_t size);

/* Makes room for one more of `size` bytes each; gives the new address, or NULL. */
static inline void *
grown(void *items, size_t used, size_t *room, size_t size)
{
    return used < *room ? items : grown_items(items, room, size);
}

/* Line numbers: bit n of block n / 64 is line n. */
typedef struct {
    uint64_t *blocks;
    uint32_t used, room;
} line_set;

/* Makes room for so many blocks, which are not in use. */
int line_set_reserve(line_set *set, uint32_t room);
/* Makes room for `blocks` blocks; new ones are empty. */
int line_set_reach(line_set *set, uint32_t blocks);
int line_set_unite(line_set *into, const line_set *from);
uint64_t line_set_count(const line_set *set);
/* The bytes up to the last line, and these bytes: little-endian on every machine. */
size_t line_set_size(const line_set *set);
void line_set_export(const line_set *set, uint8_t *bytes, size_t size);
void line_set_free(line_set *set);

static inline void
line_set_add(line_set *set, uint32_t line)
{
    set->blocks[line >> 6] |= UINT64_C(1) << (line & 63);
}

/* Arcs as numbers that sort as the arcs do. Settled: sorted, and none twice. */
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

int arc_set_settle(arc_set *set);
/* Both settled, before and after. */
int arc_set_unite(arc_set *into, const arc_set *from);
void arc_set_free(arc_set *set);

/* Numbers keys in the order in which they come. The seed is secret, so that nobody can choose keys
 * that collide. */
typedef struct {
    uint64_t *keys;
    uint32_t *slots; /* 1 + number; 0 = free */
    uint32_t used, room;
    uint64_t seed;
} key_index;

#define KEY_MISSING UINT32_MAX

/* The number of a key, or KEY_MISSING. */
uint32_t key_index_find(const key_index *index, uint64_t key);
/* The number of a key, which becomes the next one where it is new; KEY_MISSING without memory. */
uint32_t key_index_add(key_index *index, uint64_t key);
void key_index_free(key_index *index);

#endif
