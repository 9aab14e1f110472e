/* journal/journal.h - what other rooms call: append facts and events to this process's journal.
 *
 * Threads: every function but journal_start() may run on any thread, with or without the GIL, and
 * inside a monitoring callback. Storing takes no lock and allocates nothing. Only to make a journal
 * or its next segment, one thread works while others wait.
 * Fork: nothing has to be called. The kernel wipes a page of the writer at every fork, so a child
 * knows that the mapped journal is not its own. Its first fact, or journal_after_fork(), makes one.
 * It never writes to its parent's.
 * Errors: a function that cannot store returns -1 and has counted the loss; the caller goes on.
 * Every function but journal_start() leaves errno as it was.
 * Must never know: Python, adapters, what a line means.
 */
#ifndef COVSUP_JOURNAL_JOURNAL_H
#define COVSUP_JOURNAL_JOURNAL_H

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
 * the same process does nothing and succeeds. -1 with errno set: nothing is mapped, the call may be
 * repeated, and journal_start_error() names the step that failed. */
int journal_start(const journal_settings *settings, const char *covsup_parent);

/* The step at which journal_start() failed last, in words ("creating the journal"). */
const char *journal_start_error(void);

/* The process leaves the session and runs on: it has no journal until journal_start() is called
 * again, and neither have its forked children. What is stored stays in the file. Call it with the
 * GIL. The old state stays allocated: another thread may be using it. -1 with errno set: a file
 * stays mapped, so the process still counts as running in the session. */
int journal_stop(void);

/* Store a property of the image ("argv", "cwd", ...). A value is cut at 4 KiB. Up to 4 KiB of
 * properties are written again into the journal of every forked child; a reader takes what is
 * missing there from the parent's. */
int journal_property(const char *key, const void *value, size_t size);

/* Facts. 0: stored. -1: lost, and counted (a caller that tries again counts again). Neither these
 * nor journal_blob() make a journal, so a caller
 *     calls journal_ensure(), and journal_count_lost_fact() where that fails;
 *     writes its definitions again if journal_epoch() has changed;
 *     writes missing definitions by journal_blob(), then the fact. */
int journal_line(uint32_t file, uint32_t line, uint32_t context);
int journal_arc(uint32_t file, int32_t from, int32_t to, uint32_t context);

/* Store a blob of that blob_type; `data` is laid out as format.h says (FILE, CONTEXT). */
int journal_blob(unsigned type, const void *data, size_t size);

/* journal_ensure() failed, so the caller could not store the fact's definitions. */
void journal_count_lost_fact(void);

/* A signal handler could not add an event: its stack has less room than JOURNAL_EVENT_STACK. */
void journal_count_lost_event(void);

/* Bytes of stack that journal_event() may need, the C library and a debugging build included. */
#define JOURNAL_EVENT_STACK 2048

/* Store an event of that event_kind, with the current time. It is tried even during the pause after
 * a failure. */
int journal_event(unsigned kind, const void *data, size_t size);

/* A number that changes when a fork has given this process a new journal: definitions (FILE,
 * CONTEXT) must then be written again. Call it after journal_ensure(). */
uint32_t journal_epoch(void);

/* In a child after fork(): make its journal now rather than at its first fact. */
void journal_after_fork(void);

/* Before this process becomes that user: make a directory for that user's journals. Does nothing
 * without the rights to. */
void journal_grant_user(uint64_t uid);

void journal_thread_started(void);

/* Write the journal to the disk and wait for it, so that a crash of the machine loses only what
 * comes later. 0, or -1 with errno set. */
int journal_sync(void);

/* How far this process's journal is. A file of another user cannot be read for it. */
typedef struct {
    uint8_t image_id[JOURNAL_IMAGE_ID_SIZE];
    uint32_t segment; /* its number among those of the image */
    uint64_t tail;
} journal_tail;

/* The tail of the journal's segment at `index`, from 0 on. -1: there are not so many. */
int journal_tail_at(uint32_t index, journal_tail *found);

/* "<image id, 32 hex>.<pid>.<generation>" of this image, for COVSUP_PARENT; "" before the start. */
const char *journal_parent_value(char buffer[JOURNAL_PARENT_SIZE]);

#endif
