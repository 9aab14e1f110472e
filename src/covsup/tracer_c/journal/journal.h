/* journal/journal.h - append facts and events to the mmap'ed journal of this process.
 *
 * Threads: every function but journal_start() may run on any thread, with or without the GIL, and
 * inside a monitoring callback. Storing takes no lock and allocates nothing; only the (re)opening
 * of a journal, after a fork or for the next segment, is done by one thread while others wait.
 * Fork: nothing needs to be called. A page that every fork wipes tells the child that the journal
 * is not its own; its first fact (or journal_after_fork()) makes it one. It never writes its
 * parent's. Errors: a function that cannot store returns -1 and has counted the loss; the caller
 * goes on. errno is left as it was by every function but journal_start(). Must never know: Python,
 * adapters, what a line means.
 */
#ifndef COVSUP_JOURNAL_JOURNAL_H
#define COVSUP_JOURNAL_JOURNAL_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "journal/format.h"

typedef struct {
    const char *directory; /* absolute path of the session directory */
    uint32_t python_hexversion;
    uint32_t core;  /* journal_core */
    uint32_t flags; /* JOURNAL_FLAG_* */
} journal_settings;

#define JOURNAL_PARENT_SIZE 80

/* Make this image's journal. covsup_parent: the value of COVSUP_PARENT, or NULL. A second call in
 * the same process does nothing and succeeds. Returns -1 with errno set, and journal_start_error()
 * says where; nothing is then mapped, and the call may be repeated. */
int journal_start(const journal_settings *settings, const char *covsup_parent);

/* What the last failure of journal_start() was about, in words ("creating the journal"). */
const char *journal_start_error(void);

/* A property of the image ("argv", "cwd", ...). A value is cut at 4 KiB. Kept, as far as 4 KiB go,
 * and written again into the journal of every forked child; a child without one has its parent's.
 */
int journal_property(const char *key, const void *value, size_t size);

/* Facts. 0: stored. -1: lost and counted (each time: a caller that tries the same fact again counts
 * it again). Neither these nor journal_blob() make a journal; so the order is
 *     if (journal_ensure() != 0) { journal_count_lost_fact(); return; }
 *     if (journal_epoch() != epoch of my definitions) { forget that they were written }
 *     write missing definitions by journal_blob(), then the fact. */
int journal_line(uint32_t file, uint32_t line, uint32_t context);
int journal_arc(uint32_t file, int32_t from, int32_t to, uint32_t context);

/* A blob of the given blob_type, already laid out as journal/format.h says (FILE, CONTEXT). */
int journal_blob(unsigned type, const void *data, size_t size);

/* The caller could not even try: journal_ensure() failed, so definitions may be missing. */
void journal_count_lost_fact(void);

/* The caller could not even try to add an event: it is a signal handler on a stack with less room
 * than JOURNAL_EVENT_STACK. */
void journal_count_lost_event(void);

/* What a call of journal_event() may take of the stack, with what the C library and a debugging
 * build add. */
#define JOURNAL_EVENT_STACK 2048

/* An event of the given event_kind; the time is added. Tried even while facts are backing off. */
int journal_event(unsigned kind, const void *data, size_t size);

/* Changes only when a fork gave this process a new journal: definitions (FILE, CONTEXT) must then
 * be written again. Ask after journal_ensure(). */
uint32_t journal_epoch(void);

/* In the child after fork(): make the child's journal now rather than at its first fact. */
void journal_after_fork(void);

/* The process is about to become this user: whoever it starts then shall have a place for its
 * journal. Does nothing where that is not in our power. */
void journal_grant_user(uint64_t uid);

void journal_thread_started(void);

/* Have the kernel write what is stored to the disk, and wait for it: a crash of the machine then
 * loses only what comes later. 0, or -1 with errno set. */
int journal_sync(void);

/* "<image id, 32 hex>.<pid>.<generation>" of this image, for COVSUP_PARENT; "" before the start. */
const char *journal_parent_value(char buffer[JOURNAL_PARENT_SIZE]);

/* The word that a fork wipes. */
#define JOURNAL_READY 1u
extern _Atomic(_Atomic(uint32_t) *) journal_ready_word;

int journal_ensure_slow(void);

/* 0: this process has a journal of its own. -1: none could be made now (not counted as a loss). */
static inline int
journal_ensure(void)
{
    _Atomic(uint32_t) *word = atomic_load_explicit(&journal_ready_word, memory_order_acquire);
    if (atomic_load_explicit(word, memory_order_acquire) == JOURNAL_READY) {
        return 0;
    }
    return journal_ensure_slow();
}

#endif
