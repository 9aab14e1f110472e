/* files/search_path.c - find the file that code names, along sys.path.
 *
 * Threads, Must never know: see files/search_path.h. */
#include "files/search_path.h"

#include <stdlib.h>
#include <string.h>

#include "files/canonical_path.h"

/* Would sys.path lead to what it led to before? Its entries can be of any type, and none of their
 * code is run: they must be the same objects, or equal strings. */
static bool
is_same_path(PyObject *now, PyObject *before)
{
    if (before == NULL || PyTuple_GET_SIZE(now) != PyTuple_GET_SIZE(before)) {
        return false;
    }
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(now); i++) {
        PyObject *one = PyTuple_GET_ITEM(now, i), *other = PyTuple_GET_ITEM(before, i);
        if (one != other && (!PyUnicode_CheckExact(one) || !PyUnicode_CheckExact(other) ||
                             PyUnicode_Compare(one, other) != 0)) {
            return false;
        }
    }
    return true;
}

static void
free_strings(string_list *list)
{
    for (int i = 0; i < list->count; i++) {
        free(list->items[i]);
    }
    free(list->items);
    *list = (string_list){0};
}

int
search_path_refresh(core *self)
{
    PyObject *path = Py_XNewRef(PySys_GetObject("path"));                             /* owned */
    PyObject *key = path != NULL && PyList_Check(path) ? PyList_AsTuple(path) : NULL; /* owned */
    Py_XDECREF(path);
    if (key == NULL) {
        return PyErr_Occurred() ? -1 : 0;
    }
    if (is_same_path(key, self->search_path_key)) {
        Py_DECREF(key);
        return 0;
    }
    string_list made = {calloc((size_t)PyTuple_GET_SIZE(key) + 1, sizeof(char *)), 0};
    if (made.items == NULL) {
        Py_DECREF(key);
        PyErr_NoMemory();
        return -1;
    }
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(key); i++) {
        PyObject *item = PyTuple_GET_ITEM(key, i); /* borrowed from the tuple, which we own */
        PyObject *bytes = NULL;                    /* owned */
        if (PyUnicode_Check(item) && PyUnicode_FSConverter(item, &bytes)) {
            bool exists = false;
            char *canonical = canonical_path(PyBytes_AS_STRING(bytes), &exists);
            if (canonical != NULL && exists) {
                made.items[made.count++] = canonical;
            } else {
                free(canonical);
            }
        }
        PyErr_Clear(); /* an entry that is no path leads to no file */
        Py_XDECREF(bytes);
    }
    /* Swap before dropping the old key: dropping it may run Python, and another thread then comes
     * here. */
    string_list old = self->search_path;
    PyObject *old_key = self->search_path_key;
    self->search_path = made;
    self->search_path_key = key;
    free_strings(&old);
    Py_XDECREF(old_key);
    return 0;
}

char *
search_path_locate(core *self, const char *name)
{
    bool exists = false;
    char *here = canonical_path(name, &exists);
    if (name[0] == '/' || exists) {
        return here;
    }
    for (int i = 0; i < self->search_path.count; i++) {
        const char *directory = self->search_path.items[i];
        char *joined = malloc(strlen(directory) + 1 + strlen(name) + 1);
        if (joined == NULL) {
            break;
        }
        (void)stpcpy(stpcpy(stpcpy(joined, directory), "/"), name);
        char *there = canonical_path(joined, &exists);
        free(joined);
        if (there != NULL && exists) {
            free(here);
            return there;
        }
        free(there);
    }
    return here;
}
