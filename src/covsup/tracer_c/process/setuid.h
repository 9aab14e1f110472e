/* process/setuid.h - prepare for processes of another user.
 *
 * Threads: with an attached thread state.
 * Must never know: what is in a journal. */
#ifndef COVSUP_PROCESS_SETUID_H
#define COVSUP_PROCESS_SETUID_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

/* This process, or one that it starts, is about to become the user `uid`, an argument of the
 * patched call (NULL: not given). Make a directory for that user's journals. No exception. */
void prepare_for_setuid(PyObject *uid);

#endif
