/* settrace/frame_table.c - what is known about each running frame.
 *
 * Threads, Must never know: see settrace/frame_table.h. */
#include "settrace/frame_table.h"

#include <stdint.h>
#include <stdlib.h>

enum { FIRST_FRAMES = 64 };

static size_t
frame_slot(const PyFrameObject *frame, size_t mask)
{
    uint64_t address = (uint64_t)(uintptr_t)frame >> 4;
    return (size_t)((address * UINT64_C(0x9E3779B97F4A7C15)) >> 20) & mask;
}

frame_entry *
frame_table_look_up(frame_table *self, PyFrameObject *frame)
{
    if (self->slots == NULL) {
        return NULL;
    }
    for (size_t i = frame_slot(frame, self->mask);; i = (i + 1) & self->mask) {
        if (self->slots[i].frame == frame) {
            self->recent = &self->slots[i];
            return self->recent;
        }
        if (self->slots[i].frame == NULL) {
            return NULL;
        }
    }
}

static int
grow(frame_table *self)
{
    size_t slots = self->slots == NULL ? FIRST_FRAMES : (self->mask + 1) * 2;
    frame_entry *bigger = calloc(slots, sizeof(*bigger));
    if (bigger == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    for (size_t i = 0; self->slots != NULL && i <= self->mask; i++) {
        if (self->slots[i].frame != NULL) {
            size_t j = frame_slot(self->slots[i].frame, slots - 1);
            while (bigger[j].frame != NULL) {
                j = (j + 1) & (slots - 1);
            }
            bigger[j] = self->slots[i];
        }
    }
    free(self->slots);
    self->slots = bigger;
    self->mask = slots - 1;
    self->recent = NULL;
    return 0;
}

frame_entry *
frame_table_add(frame_table *self, PyFrameObject *frame)
{
    frame_entry *entry = frame_table_find(self, frame);
    if (entry == NULL) {
        if ((self->used + 1) * 2 > self->mask && grow(self) < 0) {
            return NULL;
        }
        size_t i = frame_slot(frame, self->mask);
        while (self->slots[i].frame != NULL) {
            i = (i + 1) & self->mask;
        }
        entry = &self->slots[i];
        entry->frame = frame;
        entry->interrupted = false;
        self->used++;
    }
    entry->hides_lines = false;
    entry->fired = 0;
    self->recent = entry;
    return entry;
}

void
frame_table_remove(frame_table *self, frame_entry *entry)
{
    /* Close the gap: move entries back that were pushed past this slot. */
    size_t hole = (size_t)(entry - self->slots);
    for (size_t i = (hole + 1) & self->mask; self->slots[i].frame != NULL;
         i = (i + 1) & self->mask) {
        size_t home = frame_slot(self->slots[i].frame, self->mask);
        if (((i - home) & self->mask) >= ((i - hole) & self->mask)) {
            self->slots[hole] = self->slots[i];
            hole = i;
        }
    }
    self->slots[hole].frame = NULL;
    self->used--;
    self->recent = NULL;
}

void
frame_table_clear(frame_table *self)
{
    free(self->slots);
    *self = (frame_table){0};
}
