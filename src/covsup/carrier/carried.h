/* carried.h - what this process passes on to the programs that it starts: the session, and the
 * carrier itself.
 *
 * Threads: carried_start() runs before main(); all else anywhere: on any thread, in a signal
 * handler, in a child after fork() or vfork(). Nothing here allocates, locks or writes static
 * memory after the start, but for carried_by_python() and carried_in_environ(), which say so.
 * Must never know: Python, which call the environment is for. */
#ifndef COVSUP_CARRIED_H
#define COVSUP_CARRIED_H

#include <stdbool.h>
#include <stddef.h>

/* Read what this process was given. Afterwards carried_session() says whether there is anything
 * to do here. */
void carried_start(void);

/* The session's directory; NULL: this process is in none that it may be steered by. */
const char *carried_session(void);

/* The path of this library, as it was preloaded. */
const char *carried_library(void);

/* How many words of memory an environment like `environment` takes that carries the session on;
 * 0: it does, or is not to be changed (off, another session). It may be NULL. */
size_t carried_size(char *const environment[]);

/* That environment, in so many words at `space`. */
char *const *carried_make(char *const environment[], void **space);

/* Make the process's own environment carry the session, for library functions that start a
 * program with it. Calls setenv(). */
void carried_in_environ(void);

/* A core has started in this process: from now on it, and not what started it, is the parent of
 * what is started. With the GIL. */
void carried_by_python(void);

#endif
