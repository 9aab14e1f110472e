/* journal/properties.h - properties of an image that its forked children share.
 *
 * Threads: any may save one; the holder of the open lock writes them again.
 * Fork: the properties live on in a child. A fork may come while one is being saved; a checksum
 * tells, and the child leaves that one to its parent's journal.
 * Must never know: Python, what a property means.
 */
#ifndef COVSUP_JOURNAL_PROPERTIES_H
#define COVSUP_JOURNAL_PROPERTIES_H

#include "journal/records.h"

/* Keep a property (key, NUL, value) for the journals of forked children, if there is room. */
void journal_save_property(const part parts[3]);

/* In the new journal of an image: the properties that were saved, and for a forked child the pid
 * namespace where that is another one. */
void journal_rewrite_properties(journal_state *state);
void journal_write_pid_namespace(journal_state *state);

/* The process belongs to no session any more: no child gets these properties. */
void journal_forget_properties(void);

#endif
