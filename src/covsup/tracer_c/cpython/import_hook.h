/* cpython/import_hook.h - call back once after the import of certain modules.
 *
 * Threads: with an attached thread state.
 * Must never know: what the callback does. */
#ifndef COVSUP_CPYTHON_IMPORT_HOOK_H
#define COVSUP_CPYTHON_IMPORT_HOOK_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

/* Called after every import that loads a module, also a fresh copy of one. Sets no exception. */
typedef void (*import_hook_callback)(PyObject *name);

/* From now on call callback(name) after the first import of each of `names` (an iterable of str) in
 * the running interpreter; at once for a module that is imported already. A lazy module counts when
 * it is loaded, at the next import of any module. `always` is called after every import. A second
 * call replaces callback and names. -1: exception set. */
int import_hook_install(PyObject *callback, PyObject *names, import_hook_callback always);

/* Call nothing back any more in the running interpreter. */
void import_hook_remove(void);

#endif
