/* hooks.c - the module functions that put our wrappers in place.
 *
 * Threads: with an attached thread state only.
 * Must never know: what a fact is. */
#include "hooks.h"

static PyMethodDef hooks_methods[] = {
    {NULL, NULL, 0, NULL},
};

int
hooks_add(PyObject *module)
{
    return PyModule_AddFunctions(module, hooks_methods);
}
