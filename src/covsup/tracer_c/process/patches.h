/* process/patches.h - the functions of CPython that covsup patches, because they start, replace,
 * await or end processes, start threads, change the user, or pass functions to other interpreters.
 *
 * Each list ends with NULL. The patches of a list are defined in the file named beside it.
 * Threads: with an attached thread state.
 * Must never know: what is measured. */
#ifndef COVSUP_PROCESS_PATCHES_H
#define COVSUP_PROCESS_PATCHES_H

#include "cpython/builtin_patch.h"

extern builtin_patch *const exec_patches[];        /* exec_spawn_fork.c */
extern builtin_patch *const spawn_patches[];       /* exec_spawn_fork.c */
extern builtin_patch *const wait_patches[];        /* wait_exit.c */
extern builtin_patch *const exit_patches[];        /* wait_exit.c */
extern builtin_patch *const thread_patches[];      /* thread_start.c */
extern builtin_patch *const setuid_patches[];      /* setuid.c */
extern builtin_patch *const interpreter_patches[]; /* interpreters.c; empty before 3.14 */

/* Make a journal in every child that the running interpreter forks (os.register_at_fork). -1:
 * exception set. */
int register_after_fork(void);

/* Record the exit status at the normal end of the process; once per process. -1: exception set. */
int register_exit_handler(void);

#endif
