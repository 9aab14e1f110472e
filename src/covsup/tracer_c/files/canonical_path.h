/* files/canonical_path.h - the canonical form of a path: absolute, without links, ".", ".." or
 * empty parts.
 *
 * Threads: any, also one with a small stack: what is made is on the heap.
 * Must never know: Python objects, what the path is for. */
#ifndef COVSUP_FILES_CANONICAL_PATH_H
#define COVSUP_FILES_CANONICAL_PATH_H

#include <stdbool.h>
#include <string.h>

/* The canonical form of `path`, to be freed. Parts that do not exist, or may not be looked at, stay
 * as they are: code may name a file that is on another machine, or gone. `*exists` (may be NULL)
 * says whether there is such a file. NULL: no memory, no working directory, or a loop of links. */
char *canonical_path(const char *path, bool *exists);

/* The last part of a path. */
static inline const char *
path_base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

#endif
