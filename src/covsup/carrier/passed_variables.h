/* passed_variables.h - the environment that passes the session and the carrier on to started
 * programs.
 *
 * Threads: environment_start() runs before main(). The others run anywhere: on any thread, in a
 * signal handler, in a child after fork() or vfork(). They do not allocate, lock or write static
 * memory, except environment_on_python_started() and environment_update_process(), as said there.
 * Must never know: Python, which call the environment is for. */
#ifndef COVSUP_CARRIER_PASSED_VARIABLES_H
#define COVSUP_CARRIER_PASSED_VARIABLES_H

#include <stdbool.h>
#include <stddef.h>

/* Read this process's own environment. Afterwards environment_session() says whether there is a
 * session to pass on. */
void environment_start(void);

/* The session's directory; NULL: there is none, or none that this process may trust. */
const char *environment_session(void);

/* The path of this library, as in LD_PRELOAD. */
const char *environment_library(void);

/* The result of one pass over an environment. A second pass could find something else, because
 * another thread may change it. */
typedef struct {
    size_t count;     /* of its entries */
    size_t position;  /* of LD_PRELOAD; `count`: there is none */
    const char *list; /* its list of libraries, or NULL */
    size_t length;    /* of the list */
    bool add[4];      /* which variables are missing, except LD_PRELOAD */
    bool preload;     /* LD_PRELOAD has to change */
    bool reachable;   /* the started program will find the library */
} environment_scan;

/* The words of memory that a copy of `environment` (or NULL) with the session takes. 0: use it as
 * it is, because it has the session, or is off, or has another session. */
size_t environment_size(char *const environment[], environment_scan *look);

/* Make that copy in so many words at `space`. */
char *const *environment_make(char *const environment[], const environment_scan *look,
                              void **space);

/* Add the session to the process's own environment, for system() and popen(), which pass that on.
 * Calls setenv(). */
void environment_update_process(void);

/* A Python in this process is measured: it is the parent of the programs that are started from now
 * on. Writes static memory. With the GIL. */
void environment_on_python_started(void);

#endif
