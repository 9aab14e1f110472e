/* journal/journal_facts.c - the type `JournalFacts`: what the words of one journal say.
 *
 * Its methods give Python's values of the facts, the definitions and the blobs.
 * Must never know: files, sessions, what an event says. */
#include "fold/module.h"

#include "tracer_c/journal/format.h"

PyObject *
lines_as_int(const line_set *lines)
{
    size_t size = line_set_size(lines);
    PyObject *bytes = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)size);
    if (bytes == NULL) {
        return NULL;
    }
    line_set_export(lines, (uint8_t *)PyBytes_AS_STRING(bytes), size);
    PyObject *number =
        PyObject_CallMethod((PyObject *)&PyLong_Type, "from_bytes", "Os", bytes, "little");
    Py_DECREF(bytes);
    return number;
}

PyObject *
arcs_as_bytes(const arc_set *arcs)
{
    PyObject *bytes = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)(arcs->used * 8));
    if (bytes == NULL) {
        return NULL;
    }
    char *to = PyBytes_AS_STRING(bytes);
    for (size_t at = 0; at < arcs->used; at++) {
        int32_t ends[2] = {arc_from(arcs->arcs[at]), arc_to(arcs->arcs[at])};
        memcpy(to + at * 8, ends, 8);
    }
    return bytes;
}

int
arcs_from_bytes(arc_set *arcs, PyObject *bytes)
{
    if (!PyBytes_Check(bytes) || PyBytes_GET_SIZE(bytes) % 8 != 0) {
        PyErr_SetString(PyExc_ValueError, "not a set of arcs");
        return -1;
    }
    const char *from = PyBytes_AS_STRING(bytes);
    size_t count = (size_t)PyBytes_GET_SIZE(bytes) / 8;
    for (size_t at = 0; at < count; at++) {
        int32_t ends[2];
        memcpy(ends, from + at * 8, 8);
        if (arc_set_append(arcs, arc_of(ends[0], ends[1])) < 0) {
            PyErr_NoMemory();
            return -1;
        }
    }
    return 0;
}

journal_facts_object *
new_journal_facts(fold_state *state)
{
    journal_facts_object *self = PyObject_New(journal_facts_object, state->journal_facts_type);
    if (self != NULL) {
        self->facts = (journal_facts){.keys.seed = state->seed};
    }
    return self;
}

PyObject *
decode_words(PyObject *module, PyObject *args)
{
    fold_state *state = PyModule_GetState(module);
    Py_buffer words;
    int swapped;
    unsigned int version, largest_line;
    Py_ssize_t memory;
    if (!PyArg_ParseTuple(args, "y*pIIn", &words, &swapped, &version, &largest_line, &memory)) {
        return NULL;
    }
    journal_facts_object *self = NULL;
    if (words.len % RECORD_WORD_SIZE != 0 || largest_line >= INT32_MAX || memory < 0) {
        PyErr_SetString(PyExc_ValueError, "not words, or a wrong limit");
        goto done;
    }
    self = new_journal_facts(state);
    if (self == NULL) {
        goto done;
    }
    words_format format = {.version = version, .swapped = swapped};
    fact_limits limits = {.largest_line = largest_line, .memory = (size_t)memory};
    int failed;
    Py_BEGIN_ALLOW_THREADS
    failed = words_decode(&self->facts, words.buf, (size_t)words.len / RECORD_WORD_SIZE, format,
                          &limits);
    Py_END_ALLOW_THREADS
    if (failed) {
        Py_CLEAR(self);
        PyErr_NoMemory();
    }
done:
    PyBuffer_Release(&words);
    return (PyObject *)self;
}

static void
dealloc(journal_facts_object *self)
{
    PyTypeObject *type = Py_TYPE(self);
    journal_facts_free(&self->facts);
    PyObject_Free(self);
    Py_DECREF(type);
}

static PyObject *
key_as_tuple(uint64_t key)
{
    return Py_BuildValue("(II)", (unsigned)(key >> 32), (unsigned)(key & UINT32_MAX));
}

/* Sets the value for the file and context of `key`. Steals the reference to the value. */
static int
set_entry(PyObject *dict, uint64_t key, PyObject *value)
{
    PyObject *owner = value == NULL ? NULL : key_as_tuple(key);
    int rc = owner == NULL ? -1 : PyDict_SetItem(dict, owner, value);
    Py_XDECREF(owner);
    Py_XDECREF(value);
    return rc;
}

PyDoc_STRVAR(lines_doc, "lines()\n--\n\nThe sets of lines (int), by (file id, context id).");

static PyObject *
lines(journal_facts_object *self, PyObject *unused)
{
    PyObject *dict = PyDict_New();
    for (uint32_t entry = 0; dict != NULL && entry < self->facts.keys.used; entry++) {
        const line_set *found = &self->facts.entries[entry].lines;
        if (found->used > 0 &&
            set_entry(dict, self->facts.keys.keys[entry], lines_as_int(found)) < 0) {
            Py_CLEAR(dict);
        }
    }
    return dict;
}

PyDoc_STRVAR(arcs_doc, "arcs()\n--\n\nThe sets of arcs (bytes), by (file id, context id).");

static PyObject *
arcs(journal_facts_object *self, PyObject *unused)
{
    PyObject *dict = PyDict_New();
    for (uint32_t entry = 0; dict != NULL && entry < self->facts.keys.used; entry++) {
        const arc_set *found = &self->facts.entries[entry].arcs;
        if (found->used > 0 &&
            set_entry(dict, self->facts.keys.keys[entry], arcs_as_bytes(found)) < 0) {
            Py_CLEAR(dict);
        }
    }
    return dict;
}

/* Appends to a list. Steals the reference to the item. */
static int
append(PyObject *list, PyObject *item)
{
    int rc = item == NULL ? -1 : PyList_Append(list, item);
    Py_XDECREF(item);
    return rc;
}

PyDoc_STRVAR(
    out_of_range_doc,
    "out_of_range()\n--\n\nThe facts with lines above the largest: (file id, context id, line) or\n"
    "(file id, context id, from, to).");

static PyObject *
out_of_range(journal_facts_object *self, PyObject *unused)
{
    PyObject *list = PyList_New(0);
    for (size_t at = 0; list != NULL && at < self->facts.out_of_range_used; at++) {
        const out_of_range_fact *fact = &self->facts.out_of_range[at];
        unsigned file = (unsigned)(fact->key >> 32), context = (unsigned)(fact->key & UINT32_MAX);
        PyObject *item = fact->is_arc ? Py_BuildValue("(IILL)", file, context,
                                                      (long long)fact->from, (long long)fact->to)
                                      : Py_BuildValue("(IIL)", file, context, (long long)fact->to);
        if (append(list, item) < 0) {
            Py_CLEAR(list);
        }
    }
    return list;
}

PyDoc_STRVAR(files_doc, "files()\n--\n\nThe definitions of files: (file id, path, module).");

static PyObject *
files(journal_facts_object *self, PyObject *unused)
{
    const journal_facts *facts = &self->facts;
    PyObject *list = PyList_New(0);
    for (size_t at = 0; list != NULL && at < facts->files.used; at++) {
        const definition *one = &facts->files.items[at];
        const char *text = (const char *)facts->texts + one->at;
        if (append(list, Py_BuildValue("(Iy#y#)", one->id, text, (Py_ssize_t)one->size,
                                       text + one->size + 1, (Py_ssize_t)one->module)) < 0) {
            Py_CLEAR(list);
        }
    }
    return list;
}

PyDoc_STRVAR(contexts_doc, "contexts()\n--\n\nThe definitions of contexts: (context id, label).");

static PyObject *
contexts(journal_facts_object *self, PyObject *unused)
{
    const journal_facts *facts = &self->facts;
    PyObject *list = PyList_New(0);
    for (size_t at = 0; list != NULL && at < facts->contexts.used; at++) {
        const definition *one = &facts->contexts.items[at];
        if (append(list, Py_BuildValue("(Iy#)", one->id, facts->texts + one->at,
                                       (Py_ssize_t)one->size)) < 0) {
            Py_CLEAR(list);
        }
    }
    return list;
}

/* A property's key ends at the first NUL; its value follows. */
static int
add_property(PyObject *dict, const char *text, uint32_t size)
{
    const char *nul = memchr(text, 0, size);
    Py_ssize_t length = nul == NULL ? (Py_ssize_t)size : nul - text;
    Py_ssize_t rest = nul == NULL ? 0 : (Py_ssize_t)size - length - 1;
    PyObject *key = PyUnicode_DecodeUTF8(text, length, "surrogateescape");
    PyObject *value = PyBytes_FromStringAndSize(nul == NULL ? "" : nul + 1, rest);
    int rc = key == NULL || value == NULL ? -1 : PyDict_SetItem(dict, key, value);
    Py_XDECREF(key);
    Py_XDECREF(value);
    return rc;
}

PyDoc_STRVAR(
    properties_doc,
    "properties()\n--\n\nThe values (bytes) by key (str). The last value of a key counts.");

static PyObject *
properties(journal_facts_object *self, PyObject *unused)
{
    const journal_facts *facts = &self->facts;
    PyObject *dict = PyDict_New();
    for (size_t at = 0; dict != NULL && at < facts->others_used; at++) {
        const other_blob *text = &facts->others[at];
        if (text->type == BLOB_PROPERTY &&
            add_property(dict, (const char *)facts->texts + text->at, text->size) < 0) {
            Py_CLEAR(dict);
        }
    }
    return dict;
}

PyDoc_STRVAR(blobs_doc, "blobs()\n--\n\nThe other blobs, such as events: (type, payload).");

static PyObject *
blobs(journal_facts_object *self, PyObject *unused)
{
    const journal_facts *facts = &self->facts;
    PyObject *list = PyList_New(0);
    for (size_t at = 0; list != NULL && at < facts->others_used; at++) {
        const other_blob *text = &facts->others[at];
        if (text->type == BLOB_PROPERTY) {
            continue;
        }
        if (append(list, Py_BuildValue("(By#)", text->type, facts->texts + text->at,
                                       (Py_ssize_t)text->size)) < 0) {
            Py_CLEAR(list);
        }
    }
    return list;
}

PyDoc_STRVAR(
    counts_doc,
    "counts()\n--\n\nThe numbers of torn records, of stray words, of damaged blobs, and of\n"
    "facts that were left out because of the memory limit.");

static PyObject *
counts(journal_facts_object *self, PyObject *unused)
{
    const journal_facts *facts = &self->facts;
    return Py_BuildValue(
        "(KKKK)", (unsigned long long)facts->torn, (unsigned long long)facts->stray_words,
        (unsigned long long)facts->damaged_blobs, (unsigned long long)facts->left_out);
}

static PyMethodDef methods[] = {
    {"lines", (PyCFunction)lines, METH_NOARGS, lines_doc},
    {"arcs", (PyCFunction)arcs, METH_NOARGS, arcs_doc},
    {"out_of_range", (PyCFunction)out_of_range, METH_NOARGS, out_of_range_doc},
    {"files", (PyCFunction)files, METH_NOARGS, files_doc},
    {"contexts", (PyCFunction)contexts, METH_NOARGS, contexts_doc},
    {"properties", (PyCFunction)properties, METH_NOARGS, properties_doc},
    {"blobs", (PyCFunction)blobs, METH_NOARGS, blobs_doc},
    {"counts", (PyCFunction)counts, METH_NOARGS, counts_doc},
    {NULL, NULL, 0, NULL},
};

PyDoc_STRVAR(doc, "What the words of one journal say.");

static PyType_Slot slots[] = {
    {Py_tp_doc, (void *)doc},
    {Py_tp_dealloc, dealloc},
    {Py_tp_methods, methods},
    {0, NULL},
};

PyType_Spec journal_facts_spec = {
    .name = "covsup.datafile._fold.JournalFacts",
    .basicsize = sizeof(journal_facts_object),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = slots,
};
