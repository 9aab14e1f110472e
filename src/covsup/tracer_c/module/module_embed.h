/* module/module_embed.h - the module's functions for covsup.embed.
 *
 * Threads: with an attached thread state.
 * Must never know: how a core or the journal does its work. */
#ifndef COVSUP_MODULE_MODULE_EMBED_H
#define COVSUP_MODULE_MODULE_EMBED_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

/* Adds pause, resume, join, flush, record_signal to the module. 0, or -1 with an exception set. */
int module_embed_add(PyObject *module);

#endif
