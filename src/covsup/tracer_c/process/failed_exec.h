/* process/failed_exec.h - children that subprocess forked and that could not execute their program.
 *
 * With a user, groups or a preexec_fn, subprocess forks before it execs, and whether that failed is
 * known later: it reads a pipe until the exec closes it, and waits for the child where it failed.
 *
 * Threads: any.
 * Must never know: Python objects. */
#ifndef COVSUP_PROCESS_FAILED_EXEC_H
#define COVSUP_PROCESS_FAILED_EXEC_H

#include <stdbool.h>
#include <stdint.h>

/* This child was just forked, to become another program; 0: none was. */
void failed_exec_watch(uint32_t pid);

/* Whether such a child has not become one yet. */
bool failed_exec_pending(uint32_t pid);

/* A child was waited for; `unexecuted` is what failed_exec_pending() said just before. */
void failed_exec_reaped(uint32_t pid, bool unexecuted, int status);

#endif
