/* contexts/contexts.h - the context under which a line is recorded. The door of this room.
 *
 * A context is a chain of segments: a process, a thread, a test, a name that the program gives. Its
 * label is their texts, joined by "|". A context variable of covsup's holds the chain, so asyncio's
 * tasks take it along. A thread has the chain with which it started, and the interpreter has one
 * for all other code.
 *
 * Threads: with an attached thread state.
 * Must never know: where events come from, what is recorded. */
#ifndef COVSUP_CONTEXTS_CONTEXTS_H
#define COVSUP_CONTEXTS_CONTEXTS_H

#include "cpython/compat.h" /* Python.h comes first: it chooses what the system headers offer */

#include <stdbool.h>

#include "contexts/kinds.h"
#include "core/core.h"
#include "recorded/context_recorded.h"

/* Prepare `self` for contexts. `kinds` (bits) are those that are recorded without the program
 * naming them; `inherited` (str) is the label of the context that started this process. -1:
 * exception set. */
int contexts_start(core *self, unsigned kinds, PyObject *inherited);

/* In a child after a fork. */
void contexts_after_fork(core *self);

/* What is recorded in the current context; NULL: there is none. Sets no exception. */
context_recorded *contexts_current(core *self);

/* The current chain, for code that is started from here. New reference, or NULL without an
 * exception: there is none. */
PyObject *contexts_inherited(core *self);

/* The same without the segments of the kinds `kinds` (bits). */
PyObject *contexts_inherited_without(core *self, unsigned kinds);

/* Make `chain` (from contexts_inherited(); NULL: none) current. Returns a value for
 * contexts_leave(), or NULL with an exception set. */
PyObject *contexts_enter(core *self, PyObject *chain);

/* Add a segment to the current chain. The same result. `suspendable`: it is for a generator or
 * coroutine. */
PyObject *contexts_push(core *self, segment_kind kind, PyObject *text, bool suspendable);

/* Go back to the chain before `entered` (stolen). After an error, which is dropped, a label may be
 * wrong; no line is lost. */
void contexts_leave(core *self, PyObject *entered);

/* Whether contexts of this kind are recorded without the program naming them. */
bool contexts_kind_enabled(const core *self, segment_kind kind);

/* Whether the current chain has a segment of this kind, except one of a test that has ended. */
bool contexts_has_segment(core *self, segment_kind kind);

/* Dicts of scopes.c (borrowed): from a work item to the chain that submitted it, and from a frame
 * to the value that contexts_leave() gets at its end. */
PyObject *contexts_work_chains(core *self);
PyObject *contexts_entered_frames(core *self);

/* Whether this is another thread than the interpreter's main thread. */
bool contexts_in_other_thread(core *self);

/* A new contextvars.Context in which `chain` is current; NULL with an exception set. */
PyObject *contexts_new_context_with(core *self, PyObject *chain);

/* The first and the last call in a thread. It starts with `chain` (NULL: none); `name` (NULL: none)
 * is its name in labels. */
void contexts_thread_start(core *self, PyObject *chain, PyObject *name);
void contexts_thread_end(void);

/* The value of COVSUP_CONTEXT for a process that is started from here: UTF-8, or NULL: no context.
 * The text lives as long as *holder (owned). */
const char *contexts_environ_value(core *self, PyObject **holder);

#endif
