/* files/module_name.c - the names of the module that code runs in.
 *
 * Threads, Must never know: see files/module_name.h. */
#include "files/module_name.h"

#include <stdlib.h>
#include <string.h>

#include "files/canonical_path.h"

PyObject *
module_global_string(PyObject *globals, const char *name)
{
    if (globals == NULL || !PyDict_Check(globals)) {
        return NULL;
    }
    PyObject *value = compat_dict_item(globals, name); /* owned */
    if (value != NULL && !PyUnicode_Check(value)) {
        Py_CLEAR(value);
    }
    return value;
}

/* A copy of the UTF-8 of `name` (or NULL), to be freed; NULL without an exception where it is
 * useless: a script is `__main__`, and a name that is not UTF-8 matches no rule. A copy, because
 * the text is borrowed from the object, and the caller goes on to run Python. */
static char *
usable_module_name(PyObject *name)
{
    const char *text = name != NULL && PyUnicode_Check(name) ? PyUnicode_AsUTF8(name) : NULL;
    PyErr_Clear();
    return text != NULL && strcmp(text, "__main__") != 0 ? strdup(text) : NULL;
}

char *
module_name(PyObject *globals, const char *path)
{
    PyObject *value = module_global_string(globals, "__name__"); /* owned */
    char *name = usable_module_name(value);
    Py_XDECREF(value);
    if (name != NULL) {
        return name;
    }
    PyObject *spec = globals != NULL && PyDict_Check(globals)
                         ? compat_dict_item(globals, "__spec__")
                         : NULL; /* owned */
    if (spec != NULL && spec != Py_None) {
        value = PyObject_GetAttrString(spec, "name"); /* owned; may run Python */
        name = usable_module_name(value);
        Py_XDECREF(value);
    }
    Py_XDECREF(spec);
    PyErr_Clear(); /* a spec without a name */
    if (name == NULL && (name = strdup(path_base_name(path))) != NULL) {
        char *dot = strrchr(name, '.');
        if (dot != NULL) {
            *dot = '\0';
        }
    }
    return name;
}
