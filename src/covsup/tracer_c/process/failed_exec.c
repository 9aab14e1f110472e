/* process/failed_exec.c - whether a forked child came as far as its program, by the kernel's word.
 *
 * Threads: any; the table's entries are atomic, and a lost one leaves a child taken for a program.
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

/* Those that are awaited; more at once are not remembered. */
enum { REMEMBERED = 64 };
static _Atomic uint32_t expected[REMEMBERED];

void
failed_exec_watch(uint32_t pid)
{
    if (pid == 0) {
        return;
    }
    for (int i = 0; i < REMEMBERED; i++) {
        uint32_t none = 0;
        if (atomic_compare_exchange_strong(&expected[i], &none, pid)) {
            return;
        }
    }
    atomic_store(&expected[pid % REMEMBERED], pid); /* some of them are never waited for */
}

static _Atomic uint32_t *
find(uint32_t pid)
{
    for (int i = 0; i < REMEMBERED; i++) {
        if (atomic_load_explicit(&expected[i], memory_order_relaxed) == pid) {
            return &expected[i];
        }
    }
    return NULL;
}

/* The kernel's flag "forked, but did not exec", which a zombie keeps, too. */
static bool
forked_only(uint32_t pid)
{
    enum { FORKNOEXEC = 0x40, FLAGS_AFTER_NAME = 7 };
    char path[32], text[256]; /* the flags are among the first 150 bytes */
    (void)snprintf(path, sizeof(path), "/proc/%u/stat", (unsigned)pid);
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) {
        return false; /* no /proc: it is taken for a program */
    }
    ssize_t size = read(descriptor, text, sizeof(text) - 1);
    (void)close(descriptor);
    if (size <= 0) {
        return false;
    }
    text[size] = '\0';
    const char *at = strrchr(text, ')'); /* the name may hold anything */
    for (int field = 0; at != NULL && field < FLAGS_AFTER_NAME; field++) {
        at = strchr(at + 1, ' ');
    }
    return at != NULL && (strtoul(at, NULL, 10) & FORKNOEXEC) != 0;
}

bool
failed_exec_pending(uint32_t pid)
{
    return find(pid) != NULL && forked_only(pid);
}

void
failed_exec_reaped(uint32_t pid, bool unexecuted, int status)
{
    _Atomic uint32_t *place = find(pid);
    if (place == NULL || (!WIFEXITED(status) && !WIFSIGNALED(status))) {
        return;
    }
    atomic_store(place, 0);
    /* Who waits without having read the pipe may have asked before the exec: a child that cannot
     * execute its program ends with this status. */
    if (unexecuted && WIFEXITED(status) && WEXITSTATUS(status) == 255) {
        (void)journal_event(EVENT_UNEXECUTED, &pid, sizeof(pid));
    }
}
