/* contexts/contexts.h - under which context facts are recorded: what is current, and its label.
 *
 * A context is a chain of segments (a process, a thread, a test, what the program names), and its
 * label the texts of them joined by "|". The chain hangs off a context variable of ours, so tasks
 * take it along by themselves; a thread has a chain that it began with, and the interpreter one.
 *
 * Threads: with an attached thread state. Must never know: where events come from, what they tell.
 */
#ifndef COVSUP_CONTEXTS_CONTEXTS_H
#define COVSUP_CONTEXTS_CONTEXTS_H

#include "cpython/compat.h" /* Python.h comes first: it chooses what the system headers offer */

#include <stdbool.h>

#include "core/core.h"
#include "recorded/context_recorded.h"

/* What a segment names. The first four are places that code runs in: what is started from a place
 * is another one, and the label of the process is the outermost. */
typedef enum {
    SEGMENT_PROCESS,
    SEGMENT_THREAD,
    SEGMENT_GREENLET,
    SEGMENT_TASK,
    SEGMENT_REQUEST,
    SEGMENT_TEST_FUNCTION,
    SEGMENT_PLUGIN,                /* of a dynamic-context plugin of coverage.py's */
    SEGMENT_INHERITED,             /* the context in which this process was started */
    SEGMENT_SWITCHED,              /* by embed.switch_context() */
    SEGMENT_OWN,                   /* by embed.context() */
    SEGMENT_TEST,                  /* as a test runner's plugin names it */
    SEGMENT_ADOPTED_TEST,          /* of the test that runs in the process, in a flow of no other */
    SEGMENT_ADOPTED_TEST_FUNCTION, /* likewise */
} segment_kind;

#define KIND_BIT(kind) (1u << (kind))

/* Prepare `self` for contexts: `kinds` (bits) are recorded of themselves, `inherited` (str) is the
 * context in which this process was started. -1: exception set. */
int contexts_start(core *self, unsigned kinds, PyObject *inherited);

/* In the child after a fork. */
void contexts_after_fork(core *self);

/* Another context is about to be current in a running frame: the core may need events that it has
 * disabled. -1 with an exception set. */
static inline int
contexts_before_change(core *self)
{
    return self->dormant != NULL ? self->on_context_change(self) : 0;
}

/* What is told of the context that is current; NULL: none is. Sets no exception. */
context_recorded *contexts_current(core *self);

/* The chain that is current, for a flow that starts here; new reference, or NULL without an
 * exception where there is none. */
PyObject *contexts_inherited(core *self);

/* The same without its segments of the kinds (bits). */
PyObject *contexts_inherited_without(core *self, unsigned kinds);

/* Make `chain` (as carried; NULL: none) the current one; what was current, to be given to
 * contexts_leave(), or NULL with an exception set. */
PyObject *contexts_enter(core *self, PyObject *chain);

/* Add a segment at the end. The result is as of contexts_enter(). `lasts`: the flow that it belongs
 * to may stop for a while. */
PyObject *contexts_push(core *self, segment_kind kind, PyObject *text, bool lasts);

/* Steals `entered`. Errors are dropped: a label may then be wrong, the facts are not. */
void contexts_leave(core *self, PyObject *entered);

/* Whether contexts of this kind are recorded of themselves. */
bool contexts_kind_enabled(const core *self, segment_kind kind);

/* Whether the flow that runs has a segment of this kind, and not of a test that has ended. */
bool contexts_has_segment(core *self, segment_kind kind);

/* Dicts (borrowed) for those that follow flows: chains by pieces of work, and by frames what ends
 * with them. */
PyObject *contexts_work_chains(core *self);
PyObject *contexts_entered_frames(core *self);

/* Whether this is not the interpreter's main thread. */
bool contexts_in_other_thread(core *self);

/* A new contextvars.Context in which `chain` is current; NULL with an exception set. */
PyObject *contexts_new_context_with(core *self, PyObject *chain);

/* First and last in a thread: it begins with `chain` (NULL: none); `name` (NULL: has none) is the
 * thread's. */
void contexts_thread_start(core *self, PyObject *chain, PyObject *name);
void contexts_thread_end(void);

/* The value of COVSUP_CONTEXT for what is started from here: UTF-8, or NULL where no context is
 * current. The object that holds it is put into *holder (owned). */
const char *contexts_environ_value(core *self, PyObject **holder);

/* The module's functions. -1: exception set. */
int module_contexts_add(PyObject *module);

/* The same, or NULL where there are no contexts. */
static inline context_recorded *
current_context(core *self)
{
    return self->records_contexts ? contexts_current(self) : NULL;
}

/* Tell of a line or an arc in a context (NULL: none). */
static inline bool
record_line_in(context_recorded *told, source_file *file, int line)
{
    return told != NULL ? context_recorded_add_line(told, file, line)
                        : recorded_add_line(file, line);
}

static inline bool
record_arc_in(context_recorded *told, source_file *file, int from, int to)
{
    return told != NULL ? context_recorded_add_arc(told, file, from, to)
                        : recorded_add_arc(file, from, to);
}

/* Tell of a line or an arc in the context that is current. */
static inline bool
core_record_line(core *self, source_file *file, int line)
{
    return record_line_in(current_context(self), file, line);
}

static inline bool
core_record_arc(core *self, source_file *file, int from, int to)
{
    return record_arc_in(current_context(self), file, from, to);
}

#endif
