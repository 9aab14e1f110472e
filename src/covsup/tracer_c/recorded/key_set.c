/* recorded/key_set.c - an insert-only set of 64-bit keys, read without a lock.
 *
 * A hash table with open addressing; 0 is a free slot.
 *
 * Threads, Fork: see recorded/key_set.h.
 * Must never know: what the keys mean. */
#define _XOPEN_SOURCE 700 /* POSIX.1-2008 beside C11 */

#include "recorded/key_set.h"

#include <pthread.h>
#include <stdlib.h>

struct key_table {
    key_table *older; /* the table that it replaced: another thread may be reading that */
    uint32_t mask;    /* slots - 1; slots is a power of two */
    _Atomic uint32_t used;
    _Atomic uint64_t slots[];
};

enum { FIRST_SLOTS = 64 };

/* Held while a key is added to any set. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t fork_guard = PTHREAD_ONCE_INIT;

static void
take_lock(void)
{
    pthread_mutex_lock(&lock);
}

static void
release_lock(void)
{
    pthread_mutex_unlock(&lock);
}

static void
guard_fork(void)
{
    /* Without memory for the handlers a child may inherit a held lock, if another thread adds a key
     * at the very moment of the fork. */
    (void)pthread_atfork(take_lock, release_lock, release_lock);
}

static uint32_t
slot_of(uint64_t key, uint32_t mask)
{
    return (uint32_t)((key * UINT64_C(0x9E3779B97F4A7C15)) >> 32) & mask;
}

bool
key_set_has(const key_set *self, uint64_t key)
{
    const key_table *table = atomic_load_explicit(&self->table, memory_order_acquire);
    if (table == NULL) {
        return false;
    }
    for (uint32_t i = slot_of(key, table->mask);; i = (i + 1) & table->mask) {
        uint64_t found = atomic_load_explicit(&table->slots[i], memory_order_relaxed);
        if (found == key) {
            return true;
        }
        if (found == 0) {
            return false;
        }
    }
}

/* A table is at most half full, so this loop and that of key_set_has() end. */
static void
insert_key(key_table *table, uint64_t key)
{
    for (uint32_t i = slot_of(key, table->mask);; i = (i + 1) & table->mask) {
        uint64_t found = 0;
        if (atomic_compare_exchange_strong_explicit(&table->slots[i], &found, key,
                                                    memory_order_release, memory_order_relaxed)) {
            atomic_fetch_add_explicit(&table->used, 1, memory_order_relaxed);
            return;
        }
        if (found == key) {
            return;
        }
    }
}

/* It takes a lock, so that no thread inserts into a table while another one copies it. New keys are
 * rare enough for that. */
void
key_set_add(key_set *self, uint64_t key)
{
    pthread_once(&fork_guard, guard_fork);
    take_lock();
    key_table *table = atomic_load_explicit(&self->table, memory_order_acquire);
    if (table == NULL ||
        atomic_load_explicit(&table->used, memory_order_relaxed) * 2 > table->mask) {
        uint32_t slots = table == NULL ? FIRST_SLOTS : (table->mask + 1) * 2;
        key_table *bigger = calloc(1, sizeof(*bigger) + slots * sizeof(bigger->slots[0]));
        if (bigger != NULL) {
            bigger->older = table;
            bigger->mask = slots - 1;
            for (uint32_t i = 0; table != NULL && i <= table->mask; i++) {
                uint64_t old = atomic_load_explicit(&table->slots[i], memory_order_relaxed);
                if (old != 0) {
                    insert_key(bigger, old);
                }
            }
            atomic_store_explicit(&self->table, bigger, memory_order_release);
            table = bigger;
        }
    }
    /* Without memory for a bigger table the key is not kept, and its line or arc recorded again. */
    if (table != NULL && atomic_load_explicit(&table->used, memory_order_relaxed) < table->mask) {
        insert_key(table, key);
    }
    release_lock();
}

size_t
key_set_size(const key_set *self)
{
    const key_table *table = atomic_load_explicit(&self->table, memory_order_acquire);
    size_t size = 0;
    for (; table != NULL; table = table->older) {
        size += sizeof(*table) + ((size_t)table->mask + 1) * sizeof(table->slots[0]);
    }
    return size;
}

void
key_set_clear(key_set *self)
{
    key_table *table = atomic_exchange(&self->table, NULL);
    while (table != NULL) {
        key_table *older = table->older;
        free(table);
        table = older;
    }
}

void
key_set_drop(key_set *self)
{
    take_lock();
    atomic_store_explicit(&self->table, NULL, memory_order_release);
    release_lock();
}
