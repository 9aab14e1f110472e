/* fold/union.c - the type `FactUnion`: the union of what any number of images executed.
 *
 * It holds, for each file and context, the lines and the arcs; and for each file the earliest image
 * that executed each line, and which lines several images executed. Its size depends on the number
 * of lines, not of images.
 * Must never know: how a journal is written, what a process is. */
#include "fold/union.h"

#include <stdlib.h>

/* The entry for a file in a context, made if there is none; NULL with an exception set. */
static union_entry *
entry_of(union_object *self, uint32_t file, uint32_t label)
{
    uint64_t key = (uint64_t)file << 32 | label;
    uint32_t number = key_index_find(&self->keys, key);
    if (number == KEY_MISSING) {
        union_entry *moved =
            grown(self->entries, self->keys.used, &self->entries_room, sizeof(*moved));
        if (moved != NULL) {
            self->entries = moved;
            number = key_index_add(&self->keys, key);
        }
        if (number == KEY_MISSING) {
            PyErr_NoMemory();
            return NULL;
        }
        self->entries[number] = (union_entry){0};
    }
    return &self->entries[number];
}

static int
add_entry(addition *add, uint64_t key, const facts_entry *found)
{
    union_object *self = add->self;
    uint32_t context = (uint32_t)key;
    uint32_t file_number = ids_find(&add->files, (uint32_t)(key >> 32));
    if (file_number == UNSTORABLE) {
        return 0; /* the caller learns its path from `unusable` */
    }
    if (file_number == UNKNOWN) {
        add->undefined += line_set_count(&found->lines) + found->arcs.used;
        return 0;
    }
    uint32_t label = ids_find(&add->contexts, context);
    if (label == UNKNOWN) {
        /* Keep the fact, without its label. */
        label = ids_find(&add->contexts, 0);
        PyObject *id = PyLong_FromUnsignedLong(context);
        int rc = id == NULL ? -1 : PySet_Add(add->unnamed, id);
        Py_XDECREF(id);
        if (rc < 0) {
            return -1;
        }
    }
    union_entry *facts = entry_of(self, file_number, label);
    if (facts == NULL) {
        return -1;
    }
    file_union *file = &self->files[file_number];
    file->has_facts = true;
    bool full = false;
    if (found->lines.used > 0) {
        facts->has_lines = true;
        full = line_set_unite(&facts->lines, &found->lines) < 0 ||
               line_set_unite(&file->now, &found->lines) < 0;
        if (!full) {
            /* No file has a line 0. */
            facts->lines.blocks[0] &= ~UINT64_C(1);
            file->now.blocks[0] &= ~UINT64_C(1);
        }
    }
    if (found->arcs.used > 0 && !full) {
        full = line_set_add_ends(&file->now, &found->arcs) < 0;
        if (add->branch) {
            facts->has_arcs = true;
            full = full || arc_set_unite(&facts->arcs, &found->arcs) < 0;
        } else {
            facts->has_lines = true;
            full = full || line_set_add_ends(&facts->lines, &found->arcs) < 0;
        }
    }
    if (full) {
        PyErr_NoMemory();
        return -1;
    }
    return 0;
}

static int
add_journal(addition *add, const journal_facts *journal)
{
    for (uint32_t at = 0; at < journal->keys.used; at++) {
        if (add_entry(add, journal->keys.keys[at], &journal->entries[at]) < 0) {
            return -1;
        }
    }
    for (size_t at = 0; at < journal->out_of_range_used; at++) {
        bool known =
            ids_find(&add->files, (uint32_t)(journal->out_of_range[at].key >> 32)) != UNKNOWN;
        add->out_of_range += known;
        add->undefined += !known;
    }
    return 0;
}

/* After all facts of an image: adds its files that have none, and updates who was first. */
static int
finish_image(addition *add)
{
    union_object *self = add->self;
    uint32_t no_label = ids_find(&add->contexts, 0);
    for (size_t at = 0; at < add->files.used; at++) {
        uint32_t number = add->files.items[at].number;
        if (number == UNSTORABLE) {
            continue;
        }
        file_union *file = &self->files[number];
        if (!file->has_facts) {
            /* Code of it ran, but has no line: an empty module. */
            union_entry *facts = entry_of(self, number, no_label);
            if (facts == NULL) {
                return -1;
            }
            facts->has_lines = true;
            file->has_facts = true; /* the image may have two ids for this file */
        }
        uint64_t count = line_set_count(&file->now);
        if (count > 0) {
            add->lines += count;
            if (assign_first_seen(add, file) < 0) {
                PyErr_NoMemory();
                return -1;
            }
        }
        file->now.used = 0;
    }
    for (size_t at = 0; at < add->files.used; at++) {
        uint32_t number = add->files.items[at].number;
        if (number != UNSTORABLE) {
            self->files[number].has_facts = false;
        }
    }
    return 0;
}

PyDoc_STRVAR(
    add_doc,
    "add(segments, started_ns, image_id, label, branch)\n--\n\n"
    "Add what one image executed. `segments` are the JournalFacts of its journals; `label`\n"
    "is the label of context 0; `branch` says whether it measured arcs.\n\n"
    "Gives how many lines it executed, and of how many files; how many facts are of files\n"
    "that are not defined; how many have lines above the largest; the paths that are not\n"
    "UTF-8; and the ids of contexts that are not defined. After a MemoryError the object\n"
    "must not be used.");

static PyObject *
add_image(union_object *self, PyObject *args)
{
    fold_state *state = PyType_GetModuleState(Py_TYPE(self));
    PyObject *segments, *image_id, *label;
    unsigned long long started_ns;
    addition add = {.self = self};
    int branch;
    if (!PyArg_ParseTuple(args, "O!KUUp", &PyTuple_Type, &segments, &started_ns, &image_id, &label,
                          &branch)) {
        return NULL;
    }
    for (Py_ssize_t at = 0; at < PyTuple_GET_SIZE(segments); at++) {
        if (!Py_IS_TYPE(PyTuple_GET_ITEM(segments, at), state->journal_facts_type)) {
            PyErr_SetString(PyExc_TypeError, "segments must be JournalFacts");
            return NULL;
        }
    }
    add.branch = branch;
    PyObject *result = NULL;
    add.unusable = PyList_New(0);
    add.unnamed = PySet_New(NULL);
    int rc = add.unusable == NULL || add.unnamed == NULL ? -1 : 0;
    rc = rc < 0 ? rc : ids_add_image(&add, started_ns, image_id);
    rc = rc < 0 ? rc : ids_add_definitions(&add, segments, label);
    for (Py_ssize_t at = 0; rc == 0 && at < PyTuple_GET_SIZE(segments); at++) {
        rc = add_journal(&add, &((journal_facts_object *)PyTuple_GET_ITEM(segments, at))->facts);
    }
    if (rc == 0 && finish_image(&add) == 0) {
        result = Py_BuildValue("(KnKKOO)", (unsigned long long)add.lines,
                               (Py_ssize_t)add.files.used, (unsigned long long)add.undefined,
                               (unsigned long long)add.out_of_range, add.unusable, add.unnamed);
    }
    free(add.files.items);
    free(add.contexts.items);
    Py_XDECREF(add.unusable);
    Py_XDECREF(add.unnamed);
    return result;
}

/* Sets an item of a dict. Steals the references to the key and the value. */
static int
set_item(PyObject *dict, PyObject *key, PyObject *value)
{
    int rc = key == NULL || value == NULL ? -1 : PyDict_SetItem(dict, key, value);
    Py_XDECREF(key);
    Py_XDECREF(value);
    return rc;
}

static int
export_entries(union_object *self, PyObject *lines, PyObject *arcs)
{
    for (uint32_t at = 0; at < self->keys.used; at++) {
        uint64_t key = self->keys.keys[at];
        const union_entry *facts = &self->entries[at];
        PyObject *path = self->files[key >> 32].path;
        PyObject *label = PyList_GetItem(self->label_list, (Py_ssize_t)(key & UINT32_MAX));
        if (label == NULL) {
            return -1;
        }
        if (facts->has_lines &&
            set_item(lines, PyTuple_Pack(2, path, label), lines_as_int(&facts->lines)) < 0) {
            return -1;
        }
        if (facts->has_arcs &&
            set_item(arcs, PyTuple_Pack(2, path, label), arcs_as_bytes(&facts->arcs)) < 0) {
            return -1;
        }
    }
    return 0;
}

static PyObject *
first_as_dict(const union_object *self, const file_union *file)
{
    PyObject *by_owner = PyDict_New();
    for (size_t at = 0; by_owner != NULL && at < file->first_used; at++) {
        const image *who = &self->images[file->first[at].image];
        if (set_item(by_owner,
                     Py_BuildValue("(KO)", (unsigned long long)who->started_ns, who->image_id),
                     lines_as_int(&file->first[at].lines)) < 0) {
            Py_CLEAR(by_owner);
        }
    }
    return by_owner;
}

static int
export_file(const union_object *self, const file_union *file, PyObject *modules, PyObject *first,
            PyObject *shared)
{
    if (file->modules != NULL &&
        set_item(modules, Py_NewRef(file->path), PyFrozenSet_New(file->modules)) < 0) {
        return -1;
    }
    if (file->first_used > 0 &&
        set_item(first, Py_NewRef(file->path), first_as_dict(self, file)) < 0) {
        return -1;
    }
    if (line_set_size(&file->shared) > 0) {
        return set_item(shared, Py_NewRef(file->path), lines_as_int(&file->shared));
    }
    return 0;
}

PyDoc_STRVAR(result_doc,
             "result()\n--\n\n"
             "The union: lines, arcs, modules, first and shared, as a Result has them.");

static PyObject *
result(union_object *self, PyObject *unused)
{
    PyObject *lines = PyDict_New(), *arcs = PyDict_New(), *modules = PyDict_New();
    PyObject *first = PyDict_New(), *shared = PyDict_New();
    PyObject *all = NULL;
    if (lines == NULL || arcs == NULL || modules == NULL || first == NULL || shared == NULL ||
        export_entries(self, lines, arcs) < 0) {
        goto done;
    }
    for (size_t at = 0; at < self->files_used; at++) {
        if (export_file(self, &self->files[at], modules, first, shared) < 0) {
            goto done;
        }
    }
    all = PyTuple_Pack(5, lines, arcs, modules, first, shared);
done:
    Py_XDECREF(lines);
    Py_XDECREF(arcs);
    Py_XDECREF(modules);
    Py_XDECREF(first);
    Py_XDECREF(shared);
    return all;
}

static PyObject *
new_fact_union(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    fold_state *state = PyType_GetModuleState(type);
    static char *names[] = {NULL};
    if (state == NULL || !PyArg_ParseTupleAndKeywords(args, kwargs, "", names)) {
        return NULL;
    }
    union_object *self = (union_object *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    self->keys.seed = state->seed;
    self->definitions = PyDict_New();
    self->paths = PyDict_New();
    self->labels = PyDict_New();
    self->label_list = PyList_New(0);
    self->image_numbers = PyDict_New();
    if (self->definitions == NULL || self->paths == NULL || self->labels == NULL ||
        self->label_list == NULL || self->image_numbers == NULL) {
        Py_CLEAR(self);
    }
    return (PyObject *)self;
}

static void
free_file(file_union *file)
{
    for (size_t at = 0; at < file->first_used; at++) {
        line_set_free(&file->first[at].lines);
    }
    free(file->first);
    line_set_free(&file->known);
    line_set_free(&file->shared);
    line_set_free(&file->now);
    Py_XDECREF(file->path);
    Py_XDECREF(file->modules);
}

static void
dealloc(union_object *self)
{
    PyTypeObject *type = Py_TYPE(self);
    for (size_t at = 0; at < self->files_used; at++) {
        free_file(&self->files[at]);
    }
    free(self->files);
    for (uint32_t at = 0; at < self->keys.used; at++) {
        line_set_free(&self->entries[at].lines);
        arc_set_free(&self->entries[at].arcs);
    }
    free(self->entries);
    key_index_free(&self->keys);
    for (size_t at = 0; at < self->images_used; at++) {
        Py_XDECREF(self->images[at].image_id);
    }
    free(self->images);
    Py_XDECREF(self->definitions);
    Py_XDECREF(self->paths);
    Py_XDECREF(self->labels);
    Py_XDECREF(self->label_list);
    Py_XDECREF(self->image_numbers);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMethodDef methods[] = {
    {"add", (PyCFunction)add_image, METH_VARARGS, add_doc},
    {"result", (PyCFunction)result, METH_NOARGS, result_doc},
    {NULL, NULL, 0, NULL},
};

PyDoc_STRVAR(doc, "The union of what any number of images executed.");

static PyType_Slot slots[] = {
    {Py_tp_doc, (void *)doc},
    {Py_tp_new, new_fact_union},
    {Py_tp_dealloc, dealloc},
    {Py_tp_methods, methods},
    {0, NULL},
};

PyType_Spec fact_union_spec = {
    .name = "covsup.datafile._fold.FactUnion",
    .basicsize = sizeof(union_object),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = slots,
};
