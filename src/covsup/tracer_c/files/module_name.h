/* files/module_name.h - the names of the module that code runs in.
 *
 * Threads: with an attached thread state; both may run Python (of keys and of __spec__).
 * Must never know: which modules are measured. */
#ifndef COVSUP_FILES_MODULE_NAME_H
#define COVSUP_FILES_MODULE_NAME_H

#include "cpython/compat.h"

/* A global that is a str; new reference, or NULL without an exception. */
PyObject *module_global_string(PyObject *globals, const char *name);

/* The name of the module that runs the file `path` with `globals` (NULL: unknown), as coverage.py
 * names it: a script has the name that it could be imported by. To be freed; NULL: out of memory,
 * no exception set. */
char *module_name(PyObject *globals, const char *path);

#endif
