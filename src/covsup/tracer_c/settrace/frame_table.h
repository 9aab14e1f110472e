/* settrace/frame_table.h - what is remembered of each frame that runs.
 *
 * Threads: a table belongs to one thread, or is under its owner's lock.
 * Must never know: events, files, facts. */
#ifndef COVSUP_SETTRACE_FRAME_TABLE_H
#define COVSUP_SETTRACE_FRAME_TABLE_H

#include "cpython/compat.h"

#include <stdbool.h>

struct code_state;
struct source_file;

typedef struct {
    PyFrameObject *frame;     /* identity only; NULL: free slot */
    struct code_state *state; /* NULL: not measured */
    struct code_state *flow;  /* the same where it has roles in contexts, measured or not */
    int last_line;            /* 0: unknown */
    bool hides_lines;         /* the target wants no line events of this frame */
    bool interrupted; /* by an exception: it may be anywhere since (settrace/untraced_frames.h) */
    int fired;        /* functions of C code that it runs, which fire events of their own */
    int fired_at;     /* the instruction that runs them */
    struct source_file *file; /* of claimed code: where its facts go; NULL: nowhere */
} frame_entry;

/* Open addressing by frame. A frame that dies without a return event (a greenlet that is
 * collected) leaves its entry, which the next frame at that address takes over. */
typedef struct {
    frame_entry *slots; /* NULL: empty */
    size_t mask, used;
    frame_entry *recent;
} frame_table;

/* The same as frame_table_find(), where it was another frame's entry that was found last. */
frame_entry *frame_table_look_up(frame_table *self, PyFrameObject *frame);

/* The entry of `frame`, or NULL. It stays where it is until another is made or left, which any code
 * of Python's that runs may do. */
static inline frame_entry *
frame_table_find(frame_table *self, PyFrameObject *frame)
{
    return self->recent != NULL && self->recent->frame == frame ? self->recent
                                                                : frame_table_look_up(self, frame);
}

/* The entry of `frame`, made where there is none; NULL with an exception set. */
frame_entry *frame_table_add(frame_table *self, PyFrameObject *frame);

void frame_table_remove(frame_table *self, frame_entry *entry);

void frame_table_clear(frame_table *self);

#endif
