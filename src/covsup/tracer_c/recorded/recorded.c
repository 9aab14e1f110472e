/* recorded/recorded.c - the lines and arcs that this process has recorded, for each source file.
 *
 * Threads: tables are read and marked without a lock. They grow with one lock held, which is rare.
 * A mark that is lost to a racing growth causes one repeated record and nothing else. Fork: the
 * lock is taken around fork(), so that a child never inherits a lock whose holder it does not have.
 * A raw clone() while the lock is held is not covered; the holder only allocates and copies, so
 * that is unlikely. Must never know: Python objects, where events come from, the layout of the
 * journal. */
#define _XOPEN_SOURCE 700 /* POSIX.1-2008 beside C11 */

#include "recorded/recorded.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "journal/journal.h"
#include "journal/open.h"
#include "recorded/key_set.h"
#include "journal/format.h"

/* A bitmap over line numbers. To grow, it is replaced. The old one is never freed, because another
 * thread may be reading it; sizes double, so all old ones together are smaller than the current
 * one. */
typedef struct {
    uint32_t words;
    _Atomic uint64_t bits[];
} line_map;

struct source_file {
    source_file *next; /* in its bucket */
    uint32_t id;
    _Atomic uint32_t defined_epoch; /* the journal epoch that has this file's definition */
    _Atomic(line_map *) lines;      /* lines below FAR_LINE */
    key_set far_lines;              /* the other lines */
    key_set arcs;
    size_t path_length;
    size_t definition_length;
    char *plugin;      /* the name of the plugin that claims its code; "": none */
    char *claim;       /* path, NUL, plugin: the payload of its CLAIM record */
    char definition[]; /* id (4 bytes), path, NUL, module: the payload of its FILE record */
};

/* Lines from here on are kept in a set: generated code may have numbers up to INT_MAX, and a bitmap
 * grows with the largest number. */
enum { FAR_LINE = 1 << 20 };

enum { BUCKETS = 4096, FIRST_LINE_WORDS = 8 };

/* Held while a file is added or a bitmap grows. */
static pthread_mutex_t tables_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t fork_guard = PTHREAD_ONCE_INIT;
static _Atomic(source_file *) buckets[BUCKETS]; /* lists; changed under tables_lock */
static uint32_t next_file_id;                   /* under tables_lock */
static _Atomic uint32_t pauses; /* calls of recording_pause() that were not undone yet */

void
recording_pause(void)
{
    atomic_fetch_add_explicit(&pauses, 1, memory_order_relaxed);
}

bool
recording_resume(void)
{
    uint32_t now = atomic_load_explicit(&pauses, memory_order_relaxed);
    while (now > 0 && !atomic_compare_exchange_weak_explicit(
                          &pauses, &now, now - 1, memory_order_relaxed, memory_order_relaxed)) {
    }
    return now <= 1;
}

bool
recording_is_paused(void)
{
    return atomic_load_explicit(&pauses, memory_order_relaxed) != 0;
}

static void
lock_tables(void)
{
    pthread_mutex_lock(&tables_lock);
}

static void
unlock_tables(void)
{
    pthread_mutex_unlock(&tables_lock);
}

static void
guard_fork(void)
{
    /* Without memory for the handlers a child may inherit a held lock, if another thread adds a
     * file at the very moment of the fork. */
    (void)pthread_atfork(lock_tables, unlock_tables, unlock_tables);
}

static uint32_t
hash_path(const char *path)
{
    uint32_t h = 2166136261u; /* FNV-1a */
    for (const unsigned char *p = (const unsigned char *)path; *p; p++) {
        h = (h ^ *p) * 16777619u;
    }
    return h;
}

static source_file *
find_file(uint32_t bucket, const char *path, const char *plugin)
{
    source_file *file = atomic_load_explicit(&buckets[bucket], memory_order_acquire);
    while (file != NULL && (strcmp(file->definition + sizeof(uint32_t), path) != 0 ||
                            strcmp(file->plugin, plugin) != 0)) {
        file = file->next;
    }
    return file;
}

source_file *
source_file_get(const char *path, const char *module, const char *plugin)
{
    uint32_t bucket = hash_path(path) % BUCKETS;
    source_file *file = find_file(bucket, path, plugin);
    if (file != NULL) {
        return file;
    }
    pthread_once(&fork_guard, guard_fork);
    lock_tables();
    file = find_file(bucket, path, plugin);
    if (file == NULL) {
        size_t path_length = strlen(path);
        size_t module_length = strlen(module);
        size_t definition_length = sizeof(uint32_t) + path_length + 1 + module_length;
        size_t claim_size = path_length + 1 + strlen(plugin) + 1;
        file = calloc(1, sizeof(*file) + definition_length + 1 + claim_size);
        if (file != NULL) {
            file->id = next_file_id++;
            file->path_length = path_length;
            file->definition_length = definition_length;
            memcpy(file->definition, &file->id, sizeof(uint32_t));
            memcpy(file->definition + sizeof(uint32_t), path, path_length + 1);
            memcpy(file->definition + sizeof(uint32_t) + path_length + 1, module,
                   module_length + 1);
            file->claim = file->definition + definition_length + 1;
            file->plugin = file->claim + path_length + 1;
            strcpy(file->claim, path);
            strcpy(file->plugin, plugin);
            file->next = atomic_load_explicit(&buckets[bucket], memory_order_relaxed);
            atomic_store_explicit(&buckets[bucket], file, memory_order_release);
        }
    }
    unlock_tables();
    return file;
}

/* A forked child gets its journal here. Two threads may both write a definition, which is harmless.
 */
bool
source_file_define(source_file *file)
{
    if (journal_ensure() < 0) {
        journal_count_lost_fact();
        return false;
    }
    uint32_t epoch = journal_epoch();
    if (atomic_load_explicit(&file->defined_epoch, memory_order_acquire) == epoch) {
        return true;
    }
    if (journal_blob(BLOB_FILE, file->definition, file->definition_length) < 0) {
        return false;
    }
    if (file->plugin[0] != '\0' &&
        journal_blob(BLOB_CLAIM, file->claim, file->path_length + 1 + strlen(file->plugin)) < 0) {
        return false;
    }
    atomic_store_explicit(&file->defined_epoch, epoch, memory_order_release);
    return true;
}

uint32_t
source_file_id(const source_file *file)
{
    return file->id;
}

const char *
source_file_path(const source_file *file)
{
    return file->definition + sizeof(uint32_t);
}

const char *
source_file_module(const source_file *file)
{
    return source_file_path(file) + file->path_length + 1;
}

void
recorded_add_file(source_file *file)
{
    if (recording_is_paused()) {
        return; /* its first fact, if there is one, defines it */
    }
    (void)source_file_define(file); /* it counts a loss; the file's first fact tries again */
}

static line_map *
grow_lines(source_file *file, uint32_t word)
{
    lock_tables();
    line_map *old = atomic_load_explicit(&file->lines, memory_order_acquire);
    line_map *map = old;
    if (old == NULL || old->words <= word) {
        uint32_t words = old == NULL ? FIRST_LINE_WORDS : old->words * 2;
        while (words <= word) {
            words *= 2;
        }
        map = calloc(1, sizeof(*map) + words * sizeof(map->bits[0]));
        if (map != NULL) {
            map->words = words;
            for (uint32_t i = 0; old != NULL && i < old->words; i++) {
                uint64_t bits = atomic_load_explicit(&old->bits[i], memory_order_relaxed);
                atomic_store_explicit(&map->bits[i], bits, memory_order_relaxed);
            }
            atomic_store_explicit(&file->lines, map, memory_order_release);
        }
    }
    unlock_tables();
    return map;
}

static bool
add_far_line(source_file *file, int line)
{
    if (key_set_has(&file->far_lines, (uint64_t)line)) {
        return true;
    }
    if (recording_is_paused() || !source_file_define(file) ||
        journal_line(file->id, (uint32_t)line, 0) < 0) {
        return false;
    }
    key_set_add(&file->far_lines,
                (uint64_t)line); /* after the journal, as in recorded_add_line() */
    return true;
}

bool
recorded_add_line(source_file *file, int line)
{
    if (line <= 0) {
        return true;
    }
    if (line >= FAR_LINE) {
        return add_far_line(file, line);
    }
    uint32_t word = (uint32_t)line / 64;
    uint64_t bit = UINT64_C(1) << ((uint32_t)line % 64);
    line_map *map = atomic_load_explicit(&file->lines, memory_order_acquire);
    if (map == NULL || map->words <= word) {
        map = grow_lines(file, word);
    }
    if (map != NULL && (atomic_load_explicit(&map->bits[word], memory_order_relaxed) & bit) != 0) {
        return true;
    }
    if (recording_is_paused() || !source_file_define(file) ||
        journal_line(file->id, (uint32_t)line, 0) < 0) {
        return false;
    }
    /* The mark comes after the journal. A process that is killed or forked between the two leaves a
     * repeated record; the other order would lose it. Without a map (out of memory) the line is
     * recorded again each time. */
    if (map != NULL) {
        atomic_fetch_or_explicit(&map->bits[word], bit, memory_order_release);
    }
    return true;
}

static uint64_t
arc_key(int from, int to)
{
    return ((uint64_t)(uint32_t)from << 32) | (uint32_t)to;
}

bool
recorded_has_line(const source_file *file, int line)
{
    if (line >= FAR_LINE) {
        return key_set_has(&file->far_lines, (uint64_t)line);
    }
    uint32_t word = (uint32_t)line / 64;
    line_map *map = atomic_load_explicit(&file->lines, memory_order_acquire);
    return map != NULL && word < map->words &&
           (atomic_load_explicit(&map->bits[word], memory_order_relaxed) >> (line % 64) & 1) != 0;
}

bool
recorded_has_arc(const source_file *file, int from, int to)
{
    return key_set_has(&file->arcs, arc_key(from, to));
}

bool
recorded_add_arc(source_file *file, int from, int to)
{
    uint64_t key = arc_key(from, to);
    if (key == 0 || key_set_has(&file->arcs, key)) {
        return true;
    }
    if (recording_is_paused() || !source_file_define(file) ||
        journal_arc(file->id, from, to, 0) < 0) {
        return false;
    }
    key_set_add(&file->arcs, key); /* after the journal, as in recorded_add_line() */
    return true;
}

void
recorded_forget_all(void)
{
    lock_tables();
    for (uint32_t bucket = 0; bucket < BUCKETS; bucket++) {
        source_file *file = atomic_load_explicit(&buckets[bucket], memory_order_acquire);
        for (; file != NULL; file = file->next) {
            atomic_store_explicit(&file->lines, NULL, memory_order_release);
            key_set_drop(&file->far_lines);
            key_set_drop(&file->arcs);
        }
    }
    unlock_tables();
}
