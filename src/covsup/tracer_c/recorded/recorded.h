/* recorded/recorded.h - the lines and arcs that this process has recorded, for each source file.
 *
 * A line or arc is recorded by a word in the journal, and then marked in a table here, so that each
 * is written once. These tables are for the static context; recorded/context_recorded.h has those
 * of other contexts. A "fact" is a line or an arc.
 *
 * Threads: every function may run on any thread, with or without the GIL.
 * Fork: the child inherits these tables: what the parent recorded is not recorded again. Only the
 * definition of a file is written again, to the child's own journal, before its first fact there.
 * Must never know: Python objects, where events come from, the layout of the journal. */
#ifndef COVSUP_RECORDED_RECORDED_H
#define COVSUP_RECORDED_RECORDED_H

#include <stdbool.h>
#include <stdint.h>

typedef struct source_file source_file;

/* The process-wide entry of `path`. `module` is the name with which the path was first seen ("":
 * unknown); `plugin` is the name of the plugin that claims its code ("": none). Never freed. NULL:
 * out of memory. */
source_file *source_file_get(const char *path, const char *module, const char *plugin);

uint32_t source_file_id(const source_file *file);

/* What the entry was made with; they live as long as the entry, that is for good. */
const char *source_file_path(const source_file *file);
const char *source_file_module(const source_file *file);

/* See that there is a journal and that it defines `file`. False: it could not be written. */
bool source_file_define(source_file *file);

/* Record that code of `file` runs, even if it has no lines (an empty module). */
void recorded_add_file(source_file *file);

/* Record that `line` of `file` ran. True: it is in the journal, from now or before. False: it could
 * not be stored, and should be offered again when it runs again. */
bool recorded_add_line(source_file *file, int line);

/* Record that control went from line `from` to line `to` (negative: into or out of the code object
 * with that first line). The result is that of recorded_add_line(). */
bool recorded_add_arc(source_file *file, int from, int to);

/* Was it recorded, by this process or by one that it was forked from? */
bool recorded_has_line(const source_file *file, int line);
bool recorded_has_arc(const source_file *file, int from, int to);

/* Another session begins: nothing is recorded yet. Call it with the GIL, while no journal is open.
 * The old tables are not freed: another thread may be reading them. */
void recorded_forget_all(void);

/* Record no lines and arcs, in any thread, until recording_resume() has been called as often. Until
 * then they are refused as if they could not be stored, and so are offered again. A forked child
 * inherits the pause. */
void recording_pause(void);

bool recording_is_paused(void);

/* True: lines and arcs are recorded again. A call too many does nothing. */
bool recording_resume(void);

#endif
