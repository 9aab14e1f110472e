/* recorded/context_recorded.c - the lines and arcs that this process has recorded in one context.
 *
 * Threads, Fork: see recorded/context_recorded.h.
 * Must never know: Python objects, which context is current, the layout of the journal. */
#include "recorded/context_recorded.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "journal/journal.h"
#include "recorded/key_set.h"
#include "journal/format.h"

struct context_recorded {
    uint32_t id;
    _Atomic uint32_t defined_epoch; /* the journal epoch that has this context's definition */
    key_set keys;
    size_t definition_length;
    char definition[]; /* id (4 bytes), label: the payload of its CONTEXT record */
};

static _Atomic uint32_t last_id; /* of the newest context; 0 is the static context */

context_recorded *
context_recorded_new(const char *label, size_t size)
{
    context_recorded *self = calloc(1, sizeof(*self) + sizeof(uint32_t) + size);
    if (self != NULL) {
        self->id = atomic_fetch_add(&last_id, 1) + 1;
        self->definition_length = sizeof(uint32_t) + size;
        memcpy(self->definition, &self->id, sizeof(uint32_t));
        memcpy(self->definition + sizeof(uint32_t), label, size);
    }
    return self;
}

void
context_recorded_free(context_recorded *self)
{
    key_set_clear(&self->keys);
    free(self);
}

uint32_t
context_recorded_id(const context_recorded *self)
{
    return self->id;
}

size_t
context_recorded_size(const context_recorded *self)
{
    return sizeof(*self) + self->definition_length + key_set_size(&self->keys);
}

/* A line or arc as a key. It is exact for 65,536 files of 8 million lines. Beyond that the numbers
 * are hashed, and two of one context get the same key once in 2^64 pairs. */
static uint64_t
key_of(uint32_t file, int from, int to)
{
    const int most = 1 << 23;
    if (file < (1u << 16) && from < most && from > -most && to < most && to > -most) {
        return ((uint64_t)file << 48) | ((uint64_t)((uint32_t)from & 0xFFFFFFu) << 24) |
               ((uint32_t)to & 0xFFFFFFu);
    }
    uint64_t key =
        (((uint64_t)(uint32_t)from << 32) | (uint32_t)to) + file * UINT64_C(0x9E3779B97F4A7C15);
    key = (key ^ (key >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    key = (key ^ (key >> 27)) * UINT64_C(0x94D049BB133111EB);
    return (key ^ (key >> 31)) | 1;
}

/* See that the journal defines `file` and this context. False: it could not be written. */
static bool
define_in_journal(context_recorded *self, source_file *file)
{
    if (!source_file_define(file)) {
        return false;
    }
    uint32_t epoch = journal_epoch();
    if (atomic_load_explicit(&self->defined_epoch, memory_order_acquire) == epoch) {
        return true;
    }
    if (journal_blob(BLOB_CONTEXT, self->definition, self->definition_length) < 0) {
        return false;
    }
    atomic_store_explicit(&self->defined_epoch, epoch, memory_order_release);
    return true;
}

bool
context_recorded_add_line(context_recorded *self, source_file *file, int line)
{
    if (line <= 0) {
        return true;
    }
    uint32_t id = source_file_id(file);
    uint64_t key = key_of(id, line, 0);
    if (key_set_has(&self->keys, key)) {
        return true;
    }
    if (recording_is_paused() || !define_in_journal(self, file) ||
        journal_line(id, (uint32_t)line, self->id) < 0) {
        return false;
    }
    key_set_add(&self->keys, key); /* after the journal, as in recorded_add_line() */
    return true;
}

bool
context_recorded_add_arc(context_recorded *self, source_file *file, int from, int to)
{
    if (from == 0 && to == 0) {
        return true;
    }
    uint32_t id = source_file_id(file);
    /* The key of an arc differs from that of a line: its second end is never 0. */
    uint64_t key = key_of(id, from, to);
    if (key_set_has(&self->keys, key)) {
        return true;
    }
    if (recording_is_paused() || !define_in_journal(self, file) ||
        journal_arc(id, from, to, self->id) < 0) {
        return false;
    }
    key_set_add(&self->keys, key);
    return true;
}
