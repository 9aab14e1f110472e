/* files/by_value.h - name code that was sent by value (by cloudpickle).
 *
 * cloudpickle replaces the file name of the code that it sends by a fixed text. So such a code
 * object gets a name made from its contents (docs/journal-format.md). When the results are
 * combined, the name leads to the source file.
 *
 * Threads: with an attached thread state.
 * Must never know: the journal, which files are measured. */
#ifndef COVSUP_FILES_BY_VALUE_H
#define COVSUP_FILES_BY_VALUE_H

#include "cpython/compat.h"

#include <stdbool.h>

/* Is this the file name of code that was sent by value? */
bool by_value_is_file_name(const char *file_name);

/* The name of `code`, which its __file__ says to be of the file `path` ("": not known). The caller
 * frees it. NULL with an exception set. */
char *by_value_name(PyCodeObject *code, const char *path);

#endif
