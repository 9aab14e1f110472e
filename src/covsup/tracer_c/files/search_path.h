/* files/search_path.h - find the file that code names, along sys.path.
 *
 * Threads: with the interpreter's GIL.
 * Must never know: which files are measured. */
#ifndef COVSUP_FILES_SEARCH_PATH_H
#define COVSUP_FILES_SEARCH_PATH_H

#include "core/core.h"

/* Bring core->search_path up to date with sys.path. -1 with an exception set. */
int search_path_refresh(core *self);

/* The canonical path of the file `name`, to be freed; NULL where there is none. Like coverage.py,
 * it looks for a relative name in the current directory first, then along the search path. */
char *search_path_locate(core *self, const char *name);

#endif
