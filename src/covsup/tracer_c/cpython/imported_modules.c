/* cpython/imported_modules.c - modules that are imported, and what they hold, without running
 * anything of theirs.
 *
 * Threads, must never know: see cpython/imported_modules.h. */
#include "cpython/imported_modules.h"

#include <string.h>

PyObject *
imported_module(PyObject *name)
{
    /* Not PyImport_GetModule(), which asks the module for its __spec__. */
    PyObject *module = Py_XNewRef(PyDict_GetItemWithError(PyImport_GetModuleDict(), name));
    PyErr_Clear(); /* no memory */
    return module;
}

PyObject *
imported_module_item(const char *module, const char *name)
{
    PyObject *found = compat_dict_item(PyImport_GetModuleDict(), module); /* owned */
    PyObject *item = NULL;
    if (found != NULL && PyModule_Check(found)) {
        item = compat_dict_item(PyModule_GetDict(found), name);
    }
    Py_XDECREF(found);
    return item;
}

/* Whether it is being imported, one level up (an import cycle), as importlib says it. */
static bool
is_loading(PyObject *module)
{
    PyObject *spec = compat_dict_item(PyModule_GetDict(module), "__spec__"); /* owned */
    PyObject *flag =
        spec != NULL ? PyObject_GetAttrString(spec, "_initializing") : NULL; /* owned */
    bool yes = flag != NULL && PyObject_IsTrue(flag) == 1;
    PyErr_Clear(); /* no spec of importlib's */
    Py_XDECREF(flag);
    Py_XDECREF(spec);
    return yes;
}

module_stage
module_stage_of(PyObject *module)
{
    if (!PyModule_Check(module)) {
        return MODULE_LOADED;
    }
    /* importlib.util._LazyModule; the module gets its own class when it is loaded. */
    if (!PyModule_CheckExact(module) && strcmp(Py_TYPE(module)->tp_name, "_LazyModule") == 0) {
        return MODULE_LAZY;
    }
    return is_loading(module) ? MODULE_LOADING : MODULE_LOADED;
}
