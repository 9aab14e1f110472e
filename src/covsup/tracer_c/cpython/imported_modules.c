/* cpython/imported_modules.c - look at modules without running them. See imported_modules.h.
 *
 * Must never know: why a module is wanted. */
#include "cpython/imported_modules.h"

#include <string.h>

PyObject *
imported_module(PyObject *name)
{
    /* PyImport_GetModule() would get the attribute __spec__. */
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

/* Whether the module is still being imported further up the stack, as in an import cycle. */
static bool
is_loading(PyObject *module)
{
    PyObject *spec = compat_dict_item(PyModule_GetDict(module), "__spec__"); /* owned */
    PyObject *flag =
        spec != NULL ? PyObject_GetAttrString(spec, "_initializing") : NULL; /* owned */
    bool yes = flag != NULL && PyObject_IsTrue(flag) == 1;
    PyErr_Clear(); /* the spec is not importlib's */
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
    /* Loading replaces this class of importlib.util by the module's own. */
    if (!PyModule_CheckExact(module) && strcmp(Py_TYPE(module)->tp_name, "_LazyModule") == 0) {
        return MODULE_LAZY;
    }
    return is_loading(module) ? MODULE_LOADING : MODULE_LOADED;
}
