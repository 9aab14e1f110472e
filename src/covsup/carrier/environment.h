/* environment.h - what this process passes on to the programs that it starts: the session, and the
 * carrier itself.
 *
 * Threads: environment_start() runs before main(); all else anywhere: on any thread, in a signal
 * handler, in a child after fork() or vfork(). Nothing here allocates, locks or writes static
 * memory after the start, but for environment_on_python_started() and environment_update_process(),
 * which say so. Must never know: Python, which call the environment is for. */
#ifndef COVSUP_CARRIER_ENVIRONMENT_H
#define COVSUP_CARRIER_ENVIRONMENT_H

#include <stdbool.h>
#include <stddef.h>

/* Read what this process was given. Afterwards environment_session() says whether there is anything
 * to do here. */
void environment_start(void);

/* The session's directory; NULL: this process is in none that it may be steered by. */
const char *environment_session(void);

/* The path of this library, as it was preloaded. */
const char *environment_library(void);

/* What was found in an environment, once: another thread may be changing it. */
typedef struct {
    size_t count;     /* of its entries */
    size_t position;  /* of LD_PRELOAD among them; `count`: it has none */
    const char *list; /* of libraries, in that; NULL likewise */
    size_t length;    /* of the list */
    bool add[4];      /* by variable, except LD_PRELOAD */
    bool preload;     /* LD_PRELOAD is to be another */
    bool reachable;   /* the next program will find the library */
} environment_scan;

/* How many words of memory an environment like `environment` takes that carries the session on;
 * 0: it does, or is not to be changed (off, another session). It may be NULL. */
size_t environment_size(char *const environment[], environment_scan *look);

/* That environment, in so many words at `space`. */
char *const *environment_make(char *const environment[], const environment_scan *look,
                              void **space);

/* Make the process's own environment carry the session, for library functions that start a
 * program with it. Calls setenv(). */
void environment_update_process(void);

/* A core has started in this process: from now on it, and not what started it, is the parent of
 * what is started. With the GIL. */
void environment_on_python_started(void);

#endif
