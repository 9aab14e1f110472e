/* settrace/library_tracers.h - trace functions that the target gives to a library, or that a
 * library has.
 *
 * Each function gives a list of what could not be wrapped, as "name: why"; NULL with an exception
 * set. A second call changes nothing.
 * Must never know: what is measured, and how. */
#ifndef COVSUP_SETTRACE_LIBRARY_TRACERS_H
#define COVSUP_SETTRACE_LIBRARY_TRACERS_H

#include "cpython/compat.h"

/* Take over greenlet.settrace and gettrace, once greenlet is imported. */
PyObject *library_tracers_install_greenlet(void);

/* Under the settrace core: let ours stay where `type`, a tracer written in C that installs itself
 * by its start() (coverage.py's), takes the thread. */
PyObject *library_tracers_install_c_tracer(PyTypeObject *type);

#endif
