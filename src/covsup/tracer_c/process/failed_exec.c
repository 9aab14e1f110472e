/* process/failed_exec.c - ask the kernel whether a forked child has executed its program.
 *
 * Threads: any; the entries of the table are atomic. If one is lost, a failed exec goes unrecorded.
 * Must never know: Python objects. */
#define _POSIX_C_SOURCE 200809L

#include "process/failed_exec.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "journal/journal.h"

/* Children that are watched. A new one may push another out. */
enum { WATCHED = 64 };
static _Atomic uint32_t watched[WATCHED];

void
failed_exec_watch(uint32_t pid)
{
    if (pid == 0) {
        return;
    }
    for (int i = 0; i < WATCHED; i++) {
        uint32_t none = 0;
        if (atomic_compare_exchange_strong(&watched[i], &none, pid)) {
            return;
        }
    }
    atomic_store(&watched[pid % WATCHED], pid); /* some children are never waited for */
}

static _Atomic uint32_t *
find(uint32_t pid)
{
    for (int i = 0; i < WATCHED; i++) {
        if (atomic_load_explicit(&watched[i], memory_order_relaxed) == pid) {
            return &watched[i];
        }
    }
    return NULL;
}

/* The kernel's flag "forked, but did not exec" (PF_FORKNOEXEC), which a zombie keeps. */
static bool
has_not_executed(uint32_t pid)
{
    enum { FORKNOEXEC = 0x40, FLAGS_AFTER_NAME = 7 };
    char path[32], text[256]; /* the flags are among the first 150 bytes */
    (void)snprintf(path, sizeof(path), "/proc/%u/stat", (unsigned)pid);
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) {
        return false; /* no /proc: assume that it has */
    }
    ssize_t size = read(descriptor, text, sizeof(text) - 1);
    (void)close(descriptor);
    if (size <= 0) {
        return false;
    }
    text[size] = '\0';
    const char *at = strrchr(text, ')'); /* the name may contain spaces and brackets */
    for (int field = 0; at != NULL && field < FLAGS_AFTER_NAME; field++) {
        at = strchr(at + 1, ' ');
    }
    return at != NULL && (strtoul(at, NULL, 10) & FORKNOEXEC) != 0;
}

bool
failed_exec_pending(uint32_t pid)
{
    return find(pid) != NULL && has_not_executed(pid);
}

void
failed_exec_reaped(uint32_t pid, bool pending, int status)
{
    _Atomic uint32_t *place = find(pid);
    if (place == NULL || (!WIFEXITED(status) && !WIFSIGNALED(status))) {
        return;
    }
    atomic_store(place, 0);
    /* A program may wait without reading the pipe, so the exec may have come after the look at the
     * flag. A child that cannot execute its program exits with 255. */
    if (pending && WIFEXITED(status) && WEXITSTATUS(status) == 255) {
        (void)journal_event(EVENT_UNEXECUTED, &pid, sizeof(pid));
    }
}
