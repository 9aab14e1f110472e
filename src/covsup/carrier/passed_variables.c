/* passed_variables.c - the environment that passes the session and the carrier on to started
 * programs.
 *
 * An environment is changed only where something is missing. So a program that passes its
 * environment on passes on what it would without the carrier.
 *
 * Threads, must never know: see passed_variables.h. */
#define _GNU_SOURCE
#include "passed_variables.h"

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

#include "tracer_c/journal/trust.h"

extern char **environ;

enum { SESSION, PARENT, CONTEXT, PAUSED, PRELOAD, VARIABLES };
_Static_assert(sizeof((environment_scan){0}.add) == PRELOAD * sizeof(bool), "one for each");

/* The longest entry that is passed on. Those of the bootstrap and the tracer are far shorter. */
#define MOST 4096

/* Set once before main(), only read afterwards. */
static char library[PATH_MAX];
static bool has_session;

/* The entries "NAME=value" that this process was started with; empty: without. Copies, because
 * programs that show a title of their own in `ps` overwrite the kernel's strings. Set once before
 * main(), and changed under the GIL by environment_on_python_started(). */
static char given[PRELOAD][MOST];

/* The same for COVSUP_PARENT, or the tracer's buffer, which the tracer changes after a fork. Set
 * once before main(), and changed under the GIL. */
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

/* The rule of trust.h, or another user's session with a directory for this user. No other user may
 * write to that one either. */
static bool
is_trusted(const char *directory)
{
    struct stat found;
    uid_t user = geteuid();
    if (stat(directory, &found) != 0) {
        return false;
    }
    if (is_trusted_directory(&found, getuid(), user)) {
        return true;
    }
    if (!S_ISDIR(found.st_mode) || (found.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
        return false;
    }
    static char place[PATH_MAX]; /* set once before main() */
    int length = snprintf(place, sizeof(place), "%s/uid-%ju", directory, (uintmax_t)user);
    return user != 0 && length > 0 && (size_t)length < sizeof(place) && lstat(place, &found) == 0;
}

void
environment_start(void)
{
    Dl_info self;
    if (getauxval(AT_SECURE) != 0) {
        return; /* a set-user-ID program must not trust its environment */
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
    has_session = given[SESSION][0] != '\0' && session[0] == '/' && is_trusted(session);
}

const char *
environment_session(void)
{
    return has_session ? given[SESSION] + variables[SESSION].length : NULL;
}

const char *
environment_library(void)
{
    return library;
}

void
environment_on_python_started(void)
{
    Dl_info tracer;
    for (char **each = environ; each != NULL && *each != NULL; each++) {
        if (strncmp(*each, variables[PARENT].name, variables[PARENT].length) == 0) {
            /* Only the tracer's buffer stays: it is static memory of an extension module, which is
             * never unloaded. Other strings may be freed. */
            if (dladdr(*each, &tracer) != 0 && tracer.dli_fname != NULL &&
                strstr(tracer.dli_fname, "/_tracer.") != NULL) {
                parent_entry = *each;
                given[CONTEXT][0] = '\0'; /* the tracer passes the program's own context on */
            }
            return;
        }
    }
}

/* --- an environment ---------------------------------------------------------------------- */

static const char *
entry_of(int which)
{
    return which == PARENT ? parent_entry : given[which];
}

/* The length of the next name in a list of libraries; 0: none. *at becomes where it begins. */
static size_t
next_name(const char *list, size_t length, size_t *at)
{
    while (*at < length && strchr(": \t", list[*at]) != NULL) {
        (*at)++;
    }
    size_t end = *at;
    while (end < length && strchr(": \t", list[end]) == NULL) {
        end++;
    }
    return end - *at;
}

static bool
is_library(const char *name, size_t length)
{
    return length == strlen(library) && memcmp(name, library, length) == 0;
}

/* The C library. A library behind it in the list cannot interpose its functions. */
static bool
is_c_library(const char *name, size_t length)
{
    static const char *const beginnings[] = {"libc.so", "libc-2.", "libc.musl", "ld-musl"};
    for (size_t i = length; i > 0; i--) {
        if (name[i - 1] == '/') {
            name += i;
            length -= i;
            break;
        }
    }
    for (size_t i = 0; i < sizeof(beginnings) / sizeof(*beginnings); i++) {
        size_t size = strlen(beginnings[i]);
        if (length >= size && memcmp(name, beginnings[i], size) == 0) {
            return true;
        }
    }
    return false;
}

/* Whether this library is in a list. `in_place`: before the C library. */
static bool
has_library(const char *list, size_t length, bool *in_place)
{
    bool behind = false;
    for (size_t at = 0, size; (size = next_name(list, length, &at)) > 0; at += size) {
        if (is_library(list + at, size)) {
            *in_place = !behind;
            return true;
        }
        behind = behind || is_c_library(list + at, size);
    }
    *in_place = false;
    return false;
}

/* Whether a started program will find this library. In another root directory, or as a user who may
 * not read it, the dynamic linker would print an error to its stderr. */
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

/* Look through an environment. False: nothing has to be added. */
static bool
scan_environment(char *const environment[], environment_scan *look)
{
    const char *values[VARIABLES] = {NULL};
    *look = (environment_scan){0};
    const char *entry;
    for (; environment != NULL && (entry = environment[look->count]) != NULL; look->count++) {
        for (int which = 0; (entry[0] == 'C' || entry[0] == 'L') && which < VARIABLES; which++) {
            size_t length = variables[which].length;
            if (values[which] == NULL && strncmp(entry, variables[which].name, length) == 0) {
                values[which] = entry + length;
                look->position = which == PRELOAD ? look->count : look->position;
            }
        }
    }
    const char *session = values[SESSION];
    if (session != NULL && strcmp(session, environment_session()) != 0) {
        return false;
    }
    if (values[PRELOAD] != NULL) {
        look->list = values[PRELOAD];
        look->length = strlen(look->list);
    } else {
        look->position = look->count;
    }
    look->reachable = is_reachable();
    bool in_place, has = has_library(look->list, look->length, &in_place);
    look->preload = look->reachable ? !in_place : has;
    bool any = look->preload;
    for (int which = SESSION; which < PRELOAD; which++) {
        /* If COVSUP_SESSION is there, the tracer made this environment: COVSUP_CONTEXT may be
         * missing because there is none. */
        look->add[which] = values[which] == NULL && entry_of(which)[0] != '\0' &&
                           (session == NULL || which == PAUSED);
        any = any || look->add[which];
    }
    return any;
}

static size_t
preload_size(const environment_scan *look)
{
    return variables[PRELOAD].length + look->length + 1 + strlen(library) + 1;
}

static char *
add_name(const char *start, char *end, const char *name, size_t size)
{
    if (end > start) {
        *end++ = ':';
    }
    memcpy(end, name, size);
    return end + size;
}

/* Make the new entry LD_PRELOAD in `text`, which has room for preload_size(). NULL: the list is
 * empty. */
static char *
make_preload(const environment_scan *look, char *text)
{
    const char *list = look->list;
    char *start = stpcpy(text, variables[PRELOAD].name), *end = start;
    bool missing = look->reachable;
    for (size_t at = 0, size; (size = next_name(list, look->length, &at)) > 0; at += size) {
        if (is_library(list + at, size)) {
            continue;
        }
        if (missing && is_c_library(list + at, size)) {
            end = add_name(start, end, library, strlen(library));
            missing = false;
        }
        end = add_name(start, end, list + at, size);
    }
    if (missing) {
        end = add_name(start, end, library,
                       strlen(library)); /* last: other libraries need to be the first */
    }
    *end = '\0';
    return end > start ? text : NULL;
}

size_t
environment_size(char *const environment[], environment_scan *look)
{
    if (!has_session || !scan_environment(environment, look)) {
        return 0;
    }
    size_t words = look->count + VARIABLES + 1;
    return words + (look->preload ? preload_size(look) / sizeof(void *) + 1 : 0);
}

char *const *
environment_make(char *const environment[], const environment_scan *look, void **space)
{
    char **made = (char **)space, **next = made;
    char *text = (char *)(space + look->count + VARIABLES + 1);
    for (size_t i = 0; i < look->count && environment[i] != NULL; i++) {
        if (!look->preload || i != look->position) {
            *next++ = environment[i];
        }
    }
    for (int which = SESSION; which < PRELOAD; which++) {
        if (look->add[which]) {
            *next++ = (char *)entry_of(which);
        }
    }
    if (look->preload && (text = make_preload(look, text)) != NULL) {
        *next++ = text;
    }
    *next = NULL;
    return made;
}

void
environment_update_process(void)
{
    environment_scan look;
    int saved = errno;
    if (!has_session || !scan_environment(environ, &look)) {
        return;
    }
    for (int which = SESSION; which < PRELOAD; which++) {
        if (look.add[which]) {
            char name[32] = "";
            memcpy(name, variables[which].name, variables[which].length - 1);
            (void)setenv(name, entry_of(which) + variables[which].length, 1);
        }
    }
    if (look.preload) {
        char *text = malloc(preload_size(&look));
        const char *made = text != NULL ? make_preload(&look, text) : NULL;
        if (made != NULL) {
            (void)setenv("LD_PRELOAD", made + variables[PRELOAD].length, 1);
        } else if (text != NULL) {
            (void)unsetenv("LD_PRELOAD");
        }
        free(text);
    }
    errno = saved;
}
