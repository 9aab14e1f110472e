/* cpython/compat_threads.h - differences between CPython versions in threads and function calls.
 *
 * Threads: with an attached thread state.
 * Must never know: what the callers want with it. */
#ifndef COVSUP_CPYTHON_COMPAT_THREADS_H
#define COVSUP_CPYTHON_COMPAT_THREADS_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdbool.h>

/* PyFunction_SetVectorcall() exists, and calls from Python code use the new vectorcall. */
#if PY_VERSION_HEX >= 0x030C0000
#define COMPAT_SET_VECTORCALL 1
#else
#define COMPAT_SET_VECTORCALL 0
#endif

/* Report the current exception as _thread does for a thread whose function raised. */
static inline void
compat_report_thread_exception(PyObject *function)
{
#if PY_VERSION_HEX >= 0x030D0000
    PyErr_FormatUnraisable("Exception ignored in thread started by %R", function);
#else
    _PyErr_WriteUnraisableMsg("in thread started by", function);
#endif
}

#endif
