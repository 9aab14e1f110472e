/* process/failed_exec.h - record that a forked child could not execute its program.
 *
 * With a user, groups or a preexec_fn, subprocess forks, and the child execs later. So a failure of
 * the exec is not known when fork_exec() returns: subprocess reads a pipe, which the exec closes,
 * and waits for the child if there is an error in it.
 *
 * Threads: any.
 * Must never know: Python objects. */
#ifndef COVSUP_PROCESS_FAILED_EXEC_H
#define COVSUP_PROCESS_FAILED_EXEC_H

#include <stdbool.h>
#include <stdint.h>

/* Watch this child: it was just forked to execute a program. 0: there is no child. */
void failed_exec_watch(uint32_t pid);

/* Whether that child is watched and has not executed its program. */
bool failed_exec_pending(uint32_t pid);

/* The child was waited for. `pending` is the result of failed_exec_pending() from just before. */
void failed_exec_reaped(uint32_t pid, bool pending, int status);

#endif
