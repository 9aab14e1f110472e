/* contexts/state.h - the state of an interpreter's contexts. Only this room includes it.
 *
 * Threads: with an attached thread state; each interpreter has its own.
 * Must never know: where events come from, what is recorded. */
#ifndef COVSUP_CONTEXTS_STATE_H
#define COVSUP_CONTEXTS_STATE_H

#include "contexts/contexts.h"

typedef struct context_record context_record; /* of one label, see chain.c */

/* All objects are owned. */
struct contexts {
    core *owner;
    PyObject *var;        /* the contextvars.ContextVar whose value is a chain */
    PyTypeObject *type;   /* of chains */
    PyObject *records;    /* dict: label -> PyLong of the record's address */
    PyObject *separator;  /* "|" */
    PyObject *process;    /* the segment of this process, or NULL */
    PyObject *inherited;  /* the segment of the context that started this process, or NULL */
    PyObject *root;       /* the chain of code that has no other, or NULL */
    PyObject *main_name;  /* of the main thread */
    PyObject *work;       /* contexts_work_chains() */
    PyObject *entered;    /* contexts_entered_frames() */
    PyObject *running;    /* list of the segments of running tests, the latest last, or NULL */
    unsigned kinds;       /* bits: the kinds that are recorded */
    unsigned long thread; /* the main thread's identity */
    uint32_t epoch;       /* changes when every thread has to look for its context again */
    unsigned greenlets;   /* number of the last greenlet without a name */
    int times_disabled;   /* how often contexts were switched off again (chain.c) */
    size_t chains;        /* alive */
    context_record *newest, *oldest; /* records without a chain */
    size_t idle_size;                /* their size in bytes */
};

/* Call this before the context of a running frame changes: enable the events that were disabled
 * until the next change. -1: exception set. */
static inline int
contexts_before_change(core *self)
{
    return self->dormant != NULL ? self->on_context_change(self) : 0;
}

#endif
