/* settrace/library_tracers.h - trace functions of libraries: greenlet's, and those in C.
 *
 * Each function returns a list of the functions that it could not patch, as "name: why"; NULL with
 * an exception set. A second call changes nothing.
 *
 * Threads: with the interpreter's GIL.
 * Must never know: what is measured, and how. */
#ifndef COVSUP_SETTRACE_LIBRARY_TRACERS_H
#define COVSUP_SETTRACE_LIBRARY_TRACERS_H

#include "cpython/compat.h"

/* Patch greenlet.settrace and gettrace, once greenlet is imported. */
PyObject *library_tracers_install_greenlet(void);

/* Under the settrace core: keep our trace function where `type`, a tracer written in C that
 * installs itself by its start() method (coverage.py's), replaces it. */
PyObject *library_tracers_install_c_tracer(PyTypeObject *type);

#endif
