/* process/exec_spawn_fork.h - the wrapped functions that start, replace, await and end processes,
 * and start threads.
 *
 * Threads: with an attached thread state.
 * Must never know: what is measured. */
#ifndef COVSUP_HOOKS_PROCESS_H
#define COVSUP_HOOKS_PROCESS_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "cpython/builtin_patch.h"

/* Each ends with NULL. */
extern hook *const exec_hooks[];
extern hook *const spawn_hooks[];
extern hook *const wait_hooks[];
extern hook *const exit_hooks[];
extern hook *const thread_hooks[];
extern hook *const user_hooks[];
extern hook *const interpreter_hooks[];

/* What is started next may be a process of this user, as a call's argument names it, or NULL. */
void hooks_let_in(PyObject *uid);

/* Call journal_forked() in every child that the running interpreter forks. -1: exception set. */
int register_fork(void);

/* Tell of the process's normal end, once per process. -1: exception set. */
int register_exit(void);

#endif
