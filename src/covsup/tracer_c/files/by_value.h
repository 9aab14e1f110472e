/* files/by_value.h - functions that were sent by value: their code is known by what it is.
 *
 * cloudpickle gives the code that it sends a file name which says nothing. So a code object of that
 * name gets a name of its own, of which docs/journal-format.md says how it is made; the lines go to
 * a source file when the result is made.
 *
 * Threads: with an attached thread state; nothing is kept.
 * Must never know: the journal, which files are measured. */
#ifndef COVSUP_FILES_BY_VALUE_H
#define COVSUP_FILES_BY_VALUE_H

#include "cpython/compat.h"

#include <stdbool.h>

/* Is this the file name of code that was sent by value? */
bool by_value_is_file_name(const char *file_name);

/* The name of `code`, which says that it comes from the file `path` (""  where that is not known);
 * to be freed with free(). NULL with an exception set. */
char *by_value_name(PyCodeObject *code, const char *path);

#endif
