/* module/module_patches.h - the module's functions that patch functions of CPython.
 *
 * Threads: with an attached thread state.
 * Must never know: what a patch does, what a fact is. */
#ifndef COVSUP_MODULE_MODULE_PATCHES_H
#define COVSUP_MODULE_MODULE_PATCHES_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

/* Adds patch_fork, patch_exec, ..., propagate_session to the module. 0, or -1 with an exception
 * set. */
int module_patches_add(PyObject *module);

#endif
