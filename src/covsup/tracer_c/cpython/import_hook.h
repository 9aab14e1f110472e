/* cpython/import_hook.h - tell once of the import of certain modules.
 *
 * Threads: with an attached thread state.
 * Must never know: what is done when such a module is there. */
#ifndef COVSUP_CPYTHON_IMPORT_HOOK_H
#define COVSUP_CPYTHON_IMPORT_HOOK_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

/* Called after each import of a module, however often it is imported anew. No exception. */
typedef void (*import_hook_callback)(PyObject *name);

/* From now on, after the first import of one of `names` (an iterable of str) in the running
 * interpreter, callback(name) is called, and `always` after every import; at once where it is
 * imported already. A module that is lazy is told of after it was loaded, at the next import of
 * any. A second call replaces callback and names. -1: exception set. */
int import_hook_install(PyObject *callback, PyObject *names, import_hook_callback always);

#endif
