/* recorded/recorded.h - what this process has already told: files, and the lines and arcs seen in
 * each, outside of any context that is current (recorded/context_recorded.h has those).
 *
 * Threads: every function may run on any thread, with or without the GIL.
 * Fork: the tables are inherited by the child, because what its parent has told need not be told
 * again; a file is only defined anew in the child's own journal, at its first fact there.
 * Must never know: Python objects, where events come from, the layout of the journal. */
#ifndef COVSUP_RECORDED_RECORDED_H
#define COVSUP_RECORDED_RECORDED_H

#include <stdbool.h>
#include <stdint.h>

typedef struct source_file source_file;

/* The process-wide entry of `path`; `module` is the name under which it was first seen ("" where
 * unknown), `plugin` that of the plugin which tells its facts ("": none). Never freed. NULL: out of
 * memory. */
source_file *source_file_get(const char *path, const char *module, const char *plugin);

uint32_t source_file_id(const source_file *file);

/* What it was made with. */
const char *source_file_path(const source_file *file);
const char *source_file_module(const source_file *file);

/* True when the current journal can take a fact of `file`: it exists and defines the file. */
bool source_file_define(source_file *file);

/* Tell that code of `file` runs, be it without any line (an empty module). */
void recorded_add_file(source_file *file);

/* Tell that `line` of `file` ran. True when it is stored in the journal (now or before); false
 * when it could not be, in which case the same fact should be offered again. */
bool recorded_add_line(source_file *file, int line);

/* Tell that control went from line `from` to line `to` (negative: into or out of the code object
 * whose first line that is). Same result as recorded_add_line. */
bool recorded_add_arc(source_file *file, int from, int to);

/* Is that told, here or by whom this process was forked from? */
bool recorded_has_line(const source_file *file, int line);
bool recorded_has_arc(const source_file *file, int from, int to);

/* Tell nothing more, in any thread, until recording_resume() was called as often; lines and arcs
 * are then refused as if they could not be stored, and so are offered again. A forked child
 * inherits it. */
void recording_pause(void);

bool recording_is_paused(void);

/* True when facts are told again. One too many does nothing. */
bool recording_resume(void);

#endif
