/* contexts/state.h - what the parts of contexts share: chains, segments, what is current.
 *
 * contexts/contexts.h is what everybody else sees of it.
 * Threads: see contexts/current.c. Must never know: where events come from, what they tell. */
#ifndef COVSUP_CONTEXTS_STATE_H
#define COVSUP_CONTEXTS_STATE_H

#include "contexts/contexts.h"

typedef struct context_record context_record; /* contexts/chain.c */

struct contexts {
    core *owner;
    PyObject *var;        /* owned, like all that follow */
    PyTypeObject *type;   /* of chains */
    PyObject *records;    /* label -> PyLong of the record's address */
    PyObject *separator;  /* "|" */
    PyObject *process;    /* the process's segment, or NULL */
    PyObject *inherited;  /* the segment, or NULL */
    PyObject *root;       /* the chain of flows that have no other, or NULL */
    PyObject *main_name;  /* of the main thread */
    PyObject *work;       /* dict of contexts/scopes.c */
    PyObject *entered;    /* likewise */
    PyObject *running;    /* list of the segments of tests that run, the last began last, or NULL */
    unsigned kinds;       /* bits: recorded of themselves */
    unsigned long thread; /* the main thread's identity */
    uint32_t epoch;       /* a change makes every thread look again */
    unsigned greenlets;   /* numbered so far */
    int returns;
    size_t chains; /* alive */
    context_record *newest, *oldest;
    size_t idle_size;
};

/* --- contexts/chain.c: immutable chains of segments --- */

/* The type of chains; NULL with an exception set. */
PyTypeObject *chain_type(void);

/* The chain of `segments` (a tuple); NULL with an exception set. */
PyObject *chain_new(contexts *self, PyObject *segments);

bool chain_is(const contexts *self, PyObject *object);

/* What is told under a chain's label; borrowed. */
context_recorded *chain_recorded(PyObject *chain);

/* The segments of a chain; borrowed. */
PyObject *chain_segments(PyObject *chain);

/* A segment: a tuple of (kind, text), the text as a label may have it. NULL: exception set. */
PyObject *segment_new(segment_kind kind, PyObject *text);
segment_kind segment_kind_of(PyObject *segment);

/* The same of a test that may stop for a while: what it starts belongs to it for ever. */
PyObject *segment_new_suspendable(segment_kind kind, PyObject *text);
bool segment_is_suspendable(PyObject *segment);

/* The texts of the segments that are not of `without` (bits), joined; NULL with an exception. */
PyObject *segments_label(contexts *self, PyObject *segments, unsigned without);

/* The segment of a kind in a tuple of them, borrowed, or NULL. */
PyObject *segments_find(PyObject *segments, segment_kind kind);

/* A new tuple: `segments` without the kinds (bits) and without `but` (NULL: none), then with `more`
 * (NULL: nothing) at its end, or in front where that is the process's. */
PyObject *segments_edit(PyObject *segments, unsigned without, PyObject *but, PyObject *more);

/* --- contexts/tests.c: which test code belongs to --- */

/* Whether the test of a segment has not ended. */
bool test_is_running(contexts *self, PyObject *segment);

/* A test begins; flows without a test belong to it from now on. -1: exception set. */
int test_start(contexts *self, PyObject *segment);

/* It ends, or does not run for a while. No exception. */
void test_end(contexts *self, PyObject *segment);

/* The segments (owned, or NULL: exception set) with the tests that they belong to now; steals
 * `segments`, which may be NULL. */
PyObject *segments_with_tests(contexts *self, PyObject *segments);

/* --- contexts/places.c: where code runs --- */

/* The segments (owned, a tuple) that the flow has which runs here and now, given those that it was
 * found with; NULL with an exception set. */
PyObject *segments_for_location(contexts *self, PyObject *found);

/* --- contexts/current.c: what is current --- */

/* The chain that the context variable, the thread or the interpreter has; borrowed, or NULL
 * without an exception. */
PyObject *contexts_stored_chain(contexts *self);

/* The name that this thread has among contexts; borrowed, or NULL: it has none. */
PyObject *contexts_thread_name(contexts *self);

/* The segments that are current; owned, or NULL with an exception set. */
PyObject *contexts_segments(contexts *self);

/* Make the segments the current ones. The context variable's token (owned), or NULL with an
 * exception set. */
PyObject *contexts_set_segments(contexts *self, PyObject *segments);

/* Go back to what a token stands for. -1: exception set. */
int contexts_reset(contexts *self, PyObject *token);

/* Facts get contexts from now on. -1: exception set. */
int contexts_enable(contexts *self);

#endif
