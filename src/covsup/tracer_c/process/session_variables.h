/* process/session_variables.h - the environment variables that take the session to the next process
 * image.
 *
 * COVSUP_SESSION names the session directory. The empty value means "off"; it and the value of
 * another session are left alone. COVSUP_PARENT names this image for the images that it starts.
 * COVSUP_CONTEXT is the current context, and unset without one.
 *
 * Threads: with the GIL, except environ_after_fork(), which runs in a child with one thread.
 * Must never know: which call the environment is for. */
#ifndef COVSUP_PROCESS_SESSION_VARIABLES_H
#define COVSUP_PROCESS_SESSION_VARIABLES_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdbool.h>

/* What environ_add_session() changed, for environ_restore(). */
typedef struct {
    bool added_session;
    bool changed_parent;
    char *parent_before; /* from malloc; NULL: it was not set */
    bool changed_context;
    char *context_before; /* likewise */
} environ_change;

/* From now on this process passes `session` on, and COVSUP_PARENT is this image. A second call
 * changes nothing. -1: exception set. */
int environ_start(const char *session);

/* The session that this process passes on; NULL before environ_start(). Never freed. */
const char *environ_session(void);

/* From now on this process passes nothing on: remove the variables from its environment, except
 * another session. */
void environ_stop(void);

/* In a child after a fork: it is the parent of the images that it starts. Takes no lock and
 * allocates nothing. */
void environ_after_fork(void);

/* Add the session to the process's own environment, for a call that takes no other one. If `change`
 * is not NULL, environ_restore() undoes it; else it stays. */
void environ_add_session(environ_change *change);

void environ_restore(environ_change *change);

/* A new dict of the mapping `environ` and the session. NULL without an exception: use the mapping
 * as it is, because the session is off or another one, or because the mapping is not valid, which
 * the patched function reports. */
PyObject *environ_mapping_with_session(PyObject *environ);

/* The same as a list, for a list or tuple of bytes "NAME=value". */
PyObject *environ_list_with_session(PyObject *environ);

#endif
