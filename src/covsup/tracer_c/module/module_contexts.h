/* module/module_contexts.h - the module's functions for a program that names its contexts itself.
 *
 * Threads: with an attached thread state.
 * Must never know: where events come from, what is recorded. */
#ifndef COVSUP_MODULE_MODULE_CONTEXTS_H
#define COVSUP_MODULE_MODULE_CONTEXTS_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

/* Adds enter_context, leave_context, switch_context, enter_test, leave_test to the module. 0, or -1
 * with an exception set. */
int module_contexts_add(PyObject *module);

#endif
