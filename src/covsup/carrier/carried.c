/* carried.c - what this process passes on to the programs that it starts.
 *
 * What a program is given is changed only where something is missing: a program that passes its
 * environment on is seen by the next one as without us.
 *
 * Threads, must never know: see carried.h. */
#define _GNU_SOURCE
#include "carried.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

extern char **environ;

enum { SESSION, PARENT, CONTEXT, PAUSED, PRELOAD, VARIABLES };

/* Longer values are not carried; the bootstrap's and the tracer's are far shorter. */
#define MOST 4096

static char library[PATH_MAX];
static bool on;

/* "NAME=value" as this process was given it; empty: it was not. Copies, because programs that show
 * a title of their own in `ps` overwrite what the kernel put there. */
static char given[PRELOAD][MOST];

/* As above, or the tracer's own, which it changes in place after a fork. */
static const char *parent_entry = given[PARENT];

static const struct {
    const char *name;
    size_t length; /* with the "=" */
} variables[VARIABLES] = {
    [SESSION] = {"COVSUP_SESSION=", sizeof("COVSUP_SESSION=") - 1},
    [PARENT] = {"COVSUP_PARENT=", sizeof("COVSUP_PARENT=") - 1},
    [CONTEXT] = {"COVSUP_CONTEXT=", sizeof("COVSUP_CONTEXT=") - 1},
    [PAUSED] = {"COVSUP_PAUSED=", sizeof("COVSUP_PAUSED=") - 1},
    [PRELOAD] = {"LD_PRELOAD=", sizeof("LD_PRELOAD=") - 1},
};

/* --- the start --------------------------------------------------------------------------- */

/* The bootstrap's rule (bootstrap.py, docs/security.md): a session is this user's, root's, or of
 * somebody who made a place for this user; and nobody else may write to it. */
static bool
is_trusted(const char *directory)
{
    struct stat found;
    uid_t user = geteuid();
    if (stat(directory, &found) != 0 || !S_ISDIR(found.st_mode) || (found.st_mode & 022) != 0) {
        return false;
    }
    if (found.st_uid == 0 || (found.st_uid == user && getuid() != 0)) {
        return true;
    }
    char place[PATH_MAX];
    int length = snprintf(place, sizeof(place), "%s/uid-%ju", directory, (uintmax_t)user);
    return user != 0 && length > 0 && (size_t)length < sizeof(place) && lstat(place, &found) == 0;
}

void
carried_start(void)
{
    Dl_info self;
    if (getauxval(AT_SECURE) != 0) {
        return; /* its environment is not to steer it */
    }
    if (dladdr(library, &self) == 0 || self.dli_fname == NULL || self.dli_fname[0] != '/' ||
        strlen(self.dli_fname) >= sizeof(library)) {
        return;
    }
    strcpy(library, self.dli_fname);
    for (char **each = environ; each != NULL && *each != NULL; each++) {
        for (int which = SESSION; which < PRELOAD; which++) {
            if (given[which][0] == '\0' &&
                strncmp(*each, variables[which].name, variables[which].length) == 0 &&
                strlen(*each) < MOST) {
                strcpy(given[which], *each);
            }
        }
    }
    const char *session = given[SESSION] + variables[SESSION].length;
    on = given[SESSION][0] != '\0' && session[0] == '/' && is_trusted(session);
}

const char *
carried_session(void)
{
    return on ? given[SESSION] + variables[SESSION].length : NULL;
}

const char *
carried_library(void)
{
    return library;
}

void
carried_by_python(void)
{
    Dl_info tracer;
    for (char **each = environ; each != NULL && *each != NULL; each++) {
        if (strncmp(*each, variables[PARENT].name, variables[PARENT].length) == 0) {
            /* The tracer's buffer is part of its library, which is never unloaded. Anything else
             * might be freed. */
            if (dladdr(*each, &tracer) != 0 && tracer.dli_fname != NULL &&
                strstr(tracer.dli_fname, "/_tracer.") != NULL) {
                parent_entry = *each;
                given[CONTEXT][0] = '\0'; /* the program's own contexts are the tracer's to tell */
            }
            return;
        }
    }
}

/* --- an environment ---------------------------------------------------------------------- */

typedef struct {
    const char *values[VARIABLES]; /* NULL: it is not there */
    size_t count;                  /* of all entries */
    bool add[PRELOAD];
    bool preload; /* LD_PRELOAD is to be another */
    bool reachable;
} look;

static const char *
entry_of(int which)
{
    return which == PARENT ? parent_entry : given[which];
}

/* Where `library` stands in a list of libraries, or NULL. */
static const char *
find_library(const char *list)
{
    size_t length = strlen(library);
    for (const char *at = list; (at = strstr(at, library)) != NULL; at += length) {
        bool begins = at == list || strchr(": \t", at[-1]) != NULL;
        if (begins && (at[length] == '\0' || strchr(": \t", at[length]) != NULL)) {
            return at;
        }
    }
    return NULL;
}

/* Whether the program that is started will find the library: not in another root, nor as a user
 * who may not go there. The linker would say so on its stderr. */
static bool
is_reachable(void)
{
    int saved = errno;
    bool found;
#ifdef SYS_faccessat2
    long rc = syscall(SYS_faccessat2, AT_FDCWD, library, R_OK, AT_EACCESS);
    found = rc == 0;
    if (rc != 0 && (errno == ENOSYS || errno == EPERM))
#endif
    {
        found = access(library, R_OK) == 0;
    }
    errno = saved;
    return found;
}

/* Look through an environment; false: it is as it has to be, or not ours to change. */
static bool
look_through(char *const environment[], look *at)
{
    *at = (look){0};
    for (; environment != NULL && environment[at->count] != NULL; at->count++) {
        const char *entry = environment[at->count];
        if (entry[0] != 'C' && entry[0] != 'L') {
            continue;
        }
        for (int which = 0; which < VARIABLES; which++) {
            size_t length = variables[which].length;
            if (at->values[which] == NULL && strncmp(entry, variables[which].name, length) == 0) {
                at->values[which] = entry + length;
            }
        }
    }
    const char *session = at->values[SESSION];
    if (session != NULL && strcmp(session, carried_session()) != 0) {
        return false;
    }
    at->reachable = is_reachable();
    bool has_library = at->values[PRELOAD] != NULL && find_library(at->values[PRELOAD]) != NULL;
    at->preload = has_library != at->reachable;
    bool any = at->preload;
    for (int which = SESSION; which < PRELOAD; which++) {
        /* Who passes the session on knows the context: there may be none now. */
        at->add[which] = at->values[which] == NULL && entry_of(which)[0] != '\0' &&
                         (session == NULL || which == PAUSED);
        any = any || at->add[which];
    }
    return any;
}

/* LD_PRELOAD as it has to be; `text` has room for preload_size(). An empty list has no entry. */
static size_t
preload_size(const look *at)
{
    const char *list = at->values[PRELOAD];
    return variables[PRELOAD].length + (list != NULL ? strlen(list) + 1 : 0) + strlen(library) + 1;
}

static char *
make_preload(const look *at, char *text)
{
    const char *list = at->values[PRELOAD] != NULL ? at->values[PRELOAD] : "";
    char *end = stpcpy(text, variables[PRELOAD].name);
    if (at->reachable) {
        if (list[0] != '\0') {
            end = stpcpy(stpcpy(end, list), ":"); /* behind: some insist on being the first */
        }
        strcpy(end, library);
        return text;
    }
    const char *found = find_library(list);
    const char *rest = found + strlen(library);
    size_t before = (size_t)(found - list);
    if (rest[0] != '\0') {
        rest++;
    } else if (before > 0) {
        before--;
    }
    memcpy(end, list, before);
    strcpy(end + before, rest);
    return end[0] != '\0' ? text : NULL;
}

size_t
carried_size(char *const environment[])
{
    look at;
    if (!on || !look_through(environment, &at)) {
        return 0;
    }
    size_t words = at.count + VARIABLES + 1;
    return words + (at.preload ? preload_size(&at) / sizeof(void *) + 1 : 0);
}

char *const *
carried_make(char *const environment[], void **space)
{
    look at;
    char **made = (char **)space, **next = made;
    (void)look_through(environment, &at);
    char *text = (char *)(space + at.count + VARIABLES + 1);
    for (size_t i = 0; i < at.count; i++) {
        if (!at.preload || at.values[PRELOAD] == NULL ||
            environment[i] + variables[PRELOAD].length != at.values[PRELOAD]) {
            *next++ = environment[i];
        }
    }
    for (int which = SESSION; which < PRELOAD; which++) {
        if (at.add[which]) {
            *next++ = (char *)entry_of(which);
        }
    }
    if (at.preload && (text = make_preload(&at, text)) != NULL) {
        *next++ = text;
    }
    *next = NULL;
    return made;
}

void
carried_in_environ(void)
{
    look at;
    int saved = errno;
    if (!on || !look_through(environ, &at)) {
        return;
    }
    for (int which = SESSION; which < PRELOAD; which++) {
        if (at.add[which]) {
            char name[32] = "";
            memcpy(name, variables[which].name, variables[which].length - 1);
            (void)setenv(name, entry_of(which) + variables[which].length, 1);
        }
    }
    if (at.preload) {
        char *text = malloc(preload_size(&at));
        const char *made = text != NULL ? make_preload(&at, text) : NULL;
        if (made != NULL) {
            (void)setenv("LD_PRELOAD", made + variables[PRELOAD].length, 1);
        } else if (text != NULL) {
            (void)unsetenv("LD_PRELOAD");
        }
        free(text);
    }
    errno = saved;
}
