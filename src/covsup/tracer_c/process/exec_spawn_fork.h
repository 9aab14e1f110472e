/* process/exec_spawn_fork.h - the wrapped functions that start, replace, await and end processes,
 * and start threads.
 *
 * Threads: with an attached thread state.
 * Must never know: what is measured. */
#ifndef COVSUP_PROCESS_EXEC_SPAWN_FORK_H
#define COVSUP_PROCESS_EXEC_SPAWN_FORK_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "cpython/builtin_patch.h"

/* Each ends with NULL. */
extern builtin_patch *const exec_patches[];
extern builtin_patch *const spawn_patches[];
extern builtin_patch *const wait_patches[];
extern builtin_patch *const exit_patches[];
extern builtin_patch *const thread_patches[];
extern builtin_patch *const setuid_patches[];
extern builtin_patch *const interpreter_patches[];

/* What is started next may be a process of this user, as a call's argument names it, or NULL. */
void prepare_for_setuid(PyObject *uid);

/* Call journal_after_fork() in every child that the running interpreter forks. -1: exception set.
 */
int register_after_fork(void);

/* Tell of the process's normal end, once per process. -1: exception set. */
int register_exit_handler(void);

#endif
