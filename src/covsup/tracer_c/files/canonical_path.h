/* files/canonical_path.h - canonical paths: absolute, without links, ".", ".." or empty parts.
 *
 * Threads: any, also with a small stack: the buffers are on the heap.
 * Must never know: Python objects, what the path is for. */
#ifndef COVSUP_FILES_CANONICAL_PATH_H
#define COVSUP_FILES_CANONICAL_PATH_H

#include <stdbool.h>
#include <string.h>

/* The canonical form of `path`; the caller frees it. Parts that do not exist, or that this process
 * may not look at, stay: code may name a file of another machine, or a deleted one. `*exists` (may
 * be NULL): there is such a file. NULL: no memory, no working directory, or a loop of links. */
char *canonical_path(const char *path, bool *exists);

/* The last part of a path. */
static inline const char *
path_base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

#endif
