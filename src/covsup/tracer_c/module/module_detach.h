/* module/module_detach.h - the module's functions for attaching to a process and leaving it.
 *
 * Threads: with an attached thread state.
 * Must never know: how a core or the journal does its work. */
#ifndef COVSUP_MODULE_MODULE_DETACH_H
#define COVSUP_MODULE_MODULE_DETACH_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

/* Adds detach, stop_propagating, hold_signals, raise_afterwards to the module. 0, or -1 with an
 * exception set. */
int module_detach_add(PyObject *module);

#endif
