/* process/environ.h - the variables by which the session reaches the next process image.
 *
 * COVSUP_SESSION names the session directory; the empty value means "off" and is left alone, as is
 * the value of another session. COVSUP_PARENT names this image; whoever starts from here finds it.
 * COVSUP_CONTEXT is the context that is current; without one it is not there.
 *
 * Threads: with the GIL, except environ_after_fork(), which runs in a child that
 * has one thread.
 * Must never know: which call the environment is for. */
#ifndef COVSUP_PROCESS_ENVIRON_H
#define COVSUP_PROCESS_ENVIRON_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdbool.h>

/* What environ_add_session() changed, to be put back. */
typedef struct {
    bool added_session;
    bool changed_parent;
    char *parent_before; /* from malloc; NULL: it was not set */
    bool changed_context;
    char *context_before; /* likewise */
} environ_change;

/* This process belongs to `session`, from now on: COVSUP_PARENT becomes this image. Once per
 * process is enough, more do no harm. -1: exception set. */
int environ_start(const char *session);

/* The session that this process belongs to; NULL before the start. */
const char *environ_session(void);

/* In the child after a fork: it is the parent of what it starts. Neither locks nor allocates. */
void environ_after_fork(void);

/* Make the process's own environment carry the session, for a call that takes no other one. The
 * change is described in *change where that is not NULL, else it stays. */
void environ_add_session(environ_change *change);

void environ_restore(environ_change *change);

/* A dict with what the mapping `environ` holds and the session; NULL without an exception where
 * the mapping is to be used as it is (off, another session, or no mapping of strings: the wrapped
 * function then says what is wrong). */
PyObject *environ_mapping_with_session(PyObject *environ);

/* Likewise for a list or tuple of bytes "NAME=value". */
PyObject *environ_list_with_session(PyObject *environ);

#endif
