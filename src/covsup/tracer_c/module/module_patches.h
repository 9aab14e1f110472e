/* module/module_patches.h - what stands between the target and the calls that start, end or replace
 * a process, start a thread, or import a module.
 *
 * Threads: everything here runs with the GIL.
 * Must never know: records of the journal beyond journal/journal.h, cores beyond core/code_state.h.
 */
#ifndef COVSUP_MODULE_MODULE_PATCHES_H
#define COVSUP_MODULE_MODULE_PATCHES_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

/* Adds patch_fork, patch_exec, ... to the module. 0, or -1 with an exception set. */
int module_patches_add(PyObject *module);

#endif
