/* cpython/imported_modules.h - modules that are imported, and what they hold, without running
 * anything of theirs.
 *
 * An attribute of a module may be code: of a lazy module (importlib.util.LazyLoader), which is
 * loaded by it, of a module's __getattr__, of a subclass. And sys.modules may hold what is no
 * module. So covsup asks no attribute of a module of the target's; it looks into the module's own
 * dict.
 *
 * Threads: with an attached thread state. Must never know: what a module is wanted for. */
#ifndef COVSUP_CPYTHON_IMPORTED_MODULES_H
#define COVSUP_CPYTHON_IMPORTED_MODULES_H

#include "cpython/compat.h"

/* What sys.modules has under a name, be it a module or not; new reference, or NULL without an
 * exception. */
PyObject *imported_module(PyObject *name);

/* What a module that is imported holds under a name; likewise. */
PyObject *imported_module_item(const char *module, const char *name);

typedef enum {
    MODULE_LOADED, /* or it is no module that says when it is */
    MODULE_LOADING,
    MODULE_LAZY, /* not loaded until one of its attributes is used */
} module_stage;

module_stage module_stage_of(PyObject *module);

#endif
