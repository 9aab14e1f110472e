/* cpython/imported_modules.h - look at imported modules without running their code.
 *
 * To get an attribute of a module may run code: it loads a lazy module (importlib.util.LazyLoader),
 * or calls a module's __getattr__ or a subclass's. And sys.modules may contain objects that are not
 * modules. So covsup gets no attribute of a target's module; it reads the module's own dict.
 *
 * Threads: with an attached thread state.
 * Must never know: why a module is wanted. */
#ifndef COVSUP_CPYTHON_IMPORTED_MODULES_H
#define COVSUP_CPYTHON_IMPORTED_MODULES_H

#include "cpython/compat.h"

/* The object in sys.modules under that name, a module or not. New reference, or NULL without an
 * exception. */
PyObject *imported_module(PyObject *name);

/* The item of that name in the dict of an imported module. The same. */
PyObject *imported_module_item(const char *module, const char *name);

typedef enum {
    MODULE_LOADED, /* or it is not a module, or does not say */
    MODULE_LOADING,
    MODULE_LAZY, /* not loaded until one of its attributes is used */
} module_stage;

module_stage module_stage_of(PyObject *module);

#endif
