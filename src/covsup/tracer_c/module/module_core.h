/* module/module_core.h - the core that belongs to the module of an interpreter.
 *
 * Threads: with an attached thread state.
 * Must never know: how a core does its work. */
#ifndef COVSUP_MODULE_MODULE_CORE_H
#define COVSUP_MODULE_MODULE_CORE_H

#include "core/core.h"

/* The first field is what the callbacks of monitoring/monitoring_core.c read. */
typedef struct {
    core *core; /* never freed: code objects that outlive the module point to it */
} module_state;

/* Give the module a new core, which has not been started. -1 with an exception set: it keeps its
 * old one. */
int module_new_core(PyObject *module);

#endif
