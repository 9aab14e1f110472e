/* fold/ids.c - number the files, contexts and images of a `FactUnion`: see fold/union.h.
 *
 * A journal has ids of its own for its files and contexts. They become numbers that are the same
 * for all images. Must never know: what was executed. */
#include "fold/union.h"

#include <stdlib.h>

/* The number of `key` in `dict`. A new key gets the number `next`. */
static int64_t
number_in(PyObject *dict, PyObject *key, size_t next)
{
    PyObject *known = PyDict_GetItemWithError(dict, key); /* borrowed */
    if (known != NULL) {
        return PyLong_AsLongLong(known);
    }
    PyObject *number = PyErr_Occurred() ? NULL : PyLong_FromSize_t(next);
    int rc = number == NULL ? -1 : PyDict_SetItem(dict, key, number);
    Py_XDECREF(number);
    return rc < 0 ? -1 : (int64_t)next;
}

static int
add_id(local_ids *ids, uint32_t id, uint32_t number)
{
    local_id *moved = grown(ids->items, ids->used, &ids->room, sizeof(*moved));
    if (moved == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    ids->items = moved;
    ids->items[ids->used] = (local_id){.id = id, .order = (uint32_t)ids->used, .number = number};
    ids->used++;
    return 0;
}

static int
by_id(const void *left, const void *right)
{
    const local_id *one = left, *other = right;
    if (one->id != other->id) {
        return one->id < other->id ? -1 : 1;
    }
    return one->order < other->order ? -1 : one->order > other->order;
}

/* Sorts by id, for ids_find(). Of several definitions of one id the last one counts. */
static void
sort_ids(local_ids *ids)
{
    if (ids->used > 1) {
        qsort(ids->items, ids->used, sizeof(*ids->items), by_id);
    }
    size_t kept = 0;
    for (size_t at = 0; at < ids->used; at++) {
        if (kept > 0 && ids->items[kept - 1].id == ids->items[at].id) {
            kept--;
        }
        ids->items[kept++] = ids->items[at];
    }
    ids->used = kept;
}

uint32_t
ids_find(const local_ids *ids, uint32_t id)
{
    size_t begin = 0, end = ids->used;
    while (begin < end) {
        size_t middle = begin + (end - begin) / 2;
        if (ids->items[middle].id < id) {
            begin = middle + 1;
        } else {
            end = middle;
        }
    }
    return begin < ids->used && ids->items[begin].id == id ? ids->items[begin].number : UNKNOWN;
}

/* The number of a file. Its path may be known already, with another module name. */
static int64_t
new_file(union_object *self, PyObject *path, const char *module, size_t module_size)
{
    file_union *moved = grown(self->files, self->files_used, &self->files_room, sizeof(*moved));
    if (moved == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    self->files = moved;
    int64_t number = number_in(self->paths, path, self->files_used);
    if (number == (int64_t)self->files_used) {
        self->files[self->files_used++] = (file_union){.path = Py_NewRef(path)};
    }
    if (number < 0 || module_size == 0) {
        return number;
    }
    file_union *file = &self->files[number];
    if (file->modules == NULL && (file->modules = PySet_New(NULL)) == NULL) {
        return -1;
    }
    PyObject *name = PyUnicode_DecodeUTF8(module, (Py_ssize_t)module_size, "surrogateescape");
    int rc = name == NULL ? -1 : PySet_Add(file->modules, name);
    Py_XDECREF(name);
    return rc < 0 ? -1 : number;
}

/* The value in `definitions` for a file: its number, or its path where that is not UTF-8. */
static PyObject *
define(union_object *self, const char *text, const definition *one)
{
    PyObject *path = PyUnicode_DecodeUTF8(text, (Py_ssize_t)one->size, NULL);
    if (path == NULL) {
        if (!PyErr_ExceptionMatches(PyExc_UnicodeDecodeError)) {
            return NULL;
        }
        PyErr_Clear();
        return PyUnicode_DecodeUTF8(text, (Py_ssize_t)one->size, "surrogateescape");
    }
    int64_t number = new_file(self, path, text + one->size + 1, one->module);
    Py_DECREF(path);
    return number < 0 ? NULL : PyLong_FromLongLong(number);
}

static int
add_file(addition *add, const journal_facts *journal, const definition *one)
{
    union_object *self = add->self;
    const char *text = (const char *)journal->texts + one->at;
    PyObject *key = PyBytes_FromStringAndSize(text, (Py_ssize_t)one->size + 1 + one->module);
    if (key == NULL) {
        return -1;
    }
    int rc = -1;
    PyObject *known = Py_XNewRef(PyDict_GetItemWithError(self->definitions, key));
    if (known == NULL && !PyErr_Occurred()) {
        known = define(self, text, one);
        if (known != NULL && PyDict_SetItem(self->definitions, key, known) < 0) {
            Py_CLEAR(known);
        }
    }
    if (known != NULL && PyUnicode_Check(known)) {
        rc = PyList_Append(add->unusable, known);
        rc = rc < 0 ? rc : add_id(&add->files, one->id, UNSTORABLE);
    } else if (known != NULL) {
        uint32_t number = (uint32_t)PyLong_AsUnsignedLong(known);
        rc = add_id(&add->files, one->id, number);
    }
    Py_XDECREF(known);
    Py_DECREF(key);
    return rc;
}

static int64_t
label_number(union_object *self, PyObject *label)
{
    size_t next = (size_t)PyList_GET_SIZE(self->label_list);
    int64_t number = number_in(self->labels, label, next);
    if (number == (int64_t)next && PyList_Append(self->label_list, label) < 0) {
        return -1;
    }
    return number;
}

/* A label as the data file can hold it: UTF-8, with escapes for other bytes. */
static PyObject *
label_of(const char *text, Py_ssize_t size)
{
    PyObject *label = PyUnicode_DecodeUTF8(text, size, NULL);
    if (label != NULL || !PyErr_ExceptionMatches(PyExc_UnicodeDecodeError)) {
        return label;
    }
    PyErr_Clear();
    PyObject *escaped = PyUnicode_DecodeUTF8(text, size, "surrogateescape");
    PyObject *encoded =
        escaped == NULL ? NULL : PyUnicode_AsEncodedString(escaped, "utf-8", "backslashreplace");
    Py_XDECREF(escaped);
    if (encoded != NULL) {
        label = PyUnicode_FromEncodedObject(encoded, "utf-8", NULL);
        Py_DECREF(encoded);
    }
    return label;
}

/* `of_session` is the label of the static context. coverage.py joins the two labels with a `|`. */
static int
add_context(addition *add, const journal_facts *journal, const definition *one,
            PyObject *of_session)
{
    PyObject *label = label_of((const char *)journal->texts + one->at, (Py_ssize_t)one->size);
    if (label != NULL && PyUnicode_GET_LENGTH(of_session) > 0) {
        Py_SETREF(label, PyUnicode_GET_LENGTH(label) == 0
                             ? Py_NewRef(of_session)
                             : PyUnicode_FromFormat("%U|%U", of_session, label));
    }
    int64_t number = label == NULL ? -1 : label_number(add->self, label);
    Py_XDECREF(label);
    return number < 0 ? -1 : add_id(&add->contexts, one->id, (uint32_t)number);
}

/* A later segment uses what an earlier one defined, so the definitions of all come first. */
int
ids_add_definitions(addition *add, PyObject *segments, PyObject *label)
{
    int64_t no_label = label_number(add->self, label);
    if (no_label < 0 || add_id(&add->contexts, 0, (uint32_t)no_label) < 0) {
        return -1;
    }
    for (Py_ssize_t at = 0; at < PyTuple_GET_SIZE(segments); at++) {
        const journal_facts *journal =
            &((journal_facts_object *)PyTuple_GET_ITEM(segments, at))->facts;
        for (size_t each = 0; each < journal->files.used; each++) {
            if (add_file(add, journal, &journal->files.items[each]) < 0) {
                return -1;
            }
        }
        for (size_t each = 0; each < journal->contexts.used; each++) {
            if (add_context(add, journal, &journal->contexts.items[each], label) < 0) {
                return -1;
            }
        }
    }
    sort_ids(&add->files);
    sort_ids(&add->contexts);
    return 0;
}

int
ids_add_image(addition *add, unsigned long long started_ns, PyObject *image_id)
{
    union_object *self = add->self;
    image *moved = grown(self->images, self->images_used, &self->images_room, sizeof(*moved));
    if (moved == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    self->images = moved;
    PyObject *key = Py_BuildValue("(KO)", started_ns, image_id);
    int64_t number = key == NULL ? -1 : number_in(self->image_numbers, key, self->images_used);
    Py_XDECREF(key);
    if (number < 0) {
        return -1;
    }
    add->image = (uint32_t)number;
    add->image_is_new = number == (int64_t)self->images_used;
    if (add->image_is_new) {
        self->images[self->images_used++] =
            (image){.started_ns = started_ns, .image_id = Py_NewRef(image_id)};
    }
    return 0;
}
