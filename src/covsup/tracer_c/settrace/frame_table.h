/* settrace/frame_table.h - what is known about each running frame.
 *
 * Threads: a table belongs to one thread, or is protected by its owner's lock.
 * Must never know: events, files, what is recorded. */
#ifndef COVSUP_SETTRACE_FRAME_TABLE_H
#define COVSUP_SETTRACE_FRAME_TABLE_H

#include "cpython/compat.h"

#include <stdbool.h>

struct code_state;
struct source_file;

typedef struct {
    PyFrameObject *frame;     /* identity only; NULL: free slot */
    struct code_state *state; /* NULL: not measured */
    struct code_state
        *scope_state; /* the state, if the code has roles in contexts, measured or not */
    int last_line;    /* 0: unknown */
    bool hides_lines; /* the target wants no line events of this frame */
    bool interrupted; /* by an exception: control may be anywhere since then */
    int fired;        /* how many functions of C code it runs that fire events (fired_events.h) */
    int fired_at;     /* the offset of the instruction that runs them */
    struct source_file *file; /* of claimed code: where its lines are recorded; NULL: nowhere */
} frame_entry;

/* A hash table with open addressing. A frame that dies without a return event (in a greenlet that
 * is collected) leaves its entry, which the next frame at the same address takes over. */
typedef struct {
    frame_entry *slots; /* NULL: empty */
    size_t mask, used;
    frame_entry *recent;
} frame_table;

/* frame_table_find() where the entry found last is another frame's. */
frame_entry *frame_table_look_up(frame_table *self, PyFrameObject *frame);

/* The entry of `frame`, or NULL. It is valid until an entry is added or removed, which any Python
 * code that runs may cause. */
static inline frame_entry *
frame_table_find(frame_table *self, PyFrameObject *frame)
{
    return self->recent != NULL && self->recent->frame == frame ? self->recent
                                                                : frame_table_look_up(self, frame);
}

/* The entry of `frame`, added if there is none; NULL with an exception set. */
frame_entry *frame_table_add(frame_table *self, PyFrameObject *frame);

void frame_table_remove(frame_table *self, frame_entry *entry);

void frame_table_clear(frame_table *self);

#endif
