/* contexts/chain.h - chains of segments, which a context variable holds, and their labels.
 *
 * A segment is a tuple (kind, text), and a chain an immutable object with a tuple of them.
 * Threads: with an attached thread state.
 * Must never know: which chain is current, where events come from. */
#ifndef COVSUP_CONTEXTS_CHAIN_H
#define COVSUP_CONTEXTS_CHAIN_H

#include "contexts/state.h"

/* The type of chains; NULL with an exception set. */
PyTypeObject *chain_type(void);

/* A chain of `segments` (a tuple); NULL with an exception set. */
PyObject *chain_new(contexts *self, PyObject *segments);

bool chain_is(const contexts *self, PyObject *object);

/* What is recorded under the chain's label; borrowed. */
context_recorded *chain_recorded(PyObject *chain);

/* The segments of a chain; borrowed. */
PyObject *chain_segments(PyObject *chain);

/* A new segment; the text is cleaned and cut as labels are. NULL with an exception set. */
PyObject *segment_new(segment_kind kind, PyObject *text);
segment_kind segment_kind_of(PyObject *segment);

/* The same for a test that may be suspended (a coroutine): what it starts belongs to it for good.
 */
PyObject *segment_new_suspendable(segment_kind kind, PyObject *text);
bool segment_is_suspendable(PyObject *segment);

/* The label of the segments: their texts joined, without those of the kinds `without` (bits). NULL
 * with an exception set. */
PyObject *segments_label(contexts *self, PyObject *segments, unsigned without);

/* The first segment of a kind in a tuple of them, borrowed, or NULL. */
PyObject *segments_find(PyObject *segments, segment_kind kind);

/* A new tuple: `segments` without those of the kinds `without` (bits) and without `but` (NULL:
 * none), then `more` (NULL: none) at the end; a process's segment comes first. NULL with an
 * exception set. */
PyObject *segments_edit(PyObject *segments, unsigned without, PyObject *but, PyObject *more);

#endif
