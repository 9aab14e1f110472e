/* recorded/key_set.h - an insert-only set of 64-bit keys, read without a lock.
 *
 * Threads: key_set_has() takes no lock and may run beside key_set_add(), which takes one lock that
 * all sets share. key_set_clear() needs the set to itself.
 * Fork: the lock is taken around fork(), so that a child never inherits a lock whose holder it does
 * not have. A raw clone() while the lock is held is not covered; the holder only allocates and
 * copies, so that is unlikely.
 * Must never know: what the keys mean. */
#ifndef COVSUP_RECORDED_KEY_SET_H
#define COVSUP_RECORDED_KEY_SET_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct key_table key_table;

/* All zero: empty. */
typedef struct {
    _Atomic(key_table *) table;
} key_set;

/* `key` is never 0. */
bool key_set_has(const key_set *self, uint64_t key);

/* Out of memory, the key is not kept. */
void key_set_add(key_set *self, uint64_t key);

/* The bytes that the set occupies. */
size_t key_set_size(const key_set *self);

void key_set_clear(key_set *self);

/* Empty the set without freeing its memory: another thread may be reading it. */
void key_set_drop(key_set *self);

#endif
