/* contexts/chain.c - immutable chains of segments, and the record of each label. See chain.h.
 *
 * All chains of a label share its record: what is recorded under it. The record is kept for a while
 * after the last chain is gone. So a label that comes again and again (a route) does not record the
 * same lines each time.
 *
 * Must never know: which chain is current, where events come from. */
#include "contexts/chain.h"

#include <stdlib.h>
#include <string.h>

/* The longest label, in bytes of UTF-8; a longer one is cut. */
enum { MAX_LABEL = 4096 };

/* The most bytes that idle records may take. */
enum { MAX_IDLE = 2 << 20 };

/* When no chain is left, contexts are switched off again. This happens at most so often, because to
 * switch them on costs more than to keep them on. */
enum { MAX_DISABLES = 16 };

/* What is recorded under one label. */
struct context_record {
    context_record *older, *newer; /* among the idle ones */
    context_recorded *recorded;
    PyObject *label; /* owned: the key in `records` */
    size_t size;     /* while idle */
    int chains;      /* how many use it; 0: it is idle */
};

typedef struct {
    PyObject_HEAD contexts *owner;
    PyObject *segments; /* owned tuple of (kind, text) */
    context_record *record;
} chain_object;

static void
remove_idle(contexts *self, context_record *which)
{
    *(which->older != NULL ? &which->older->newer : &self->oldest) = which->newer;
    *(which->newer != NULL ? &which->newer->older : &self->newest) = which->older;
    which->older = which->newer = NULL;
    self->idle_size -= which->size;
}

static void
add_idle(contexts *self, context_record *which)
{
    which->size = sizeof(*which) + context_recorded_size(which->recorded);
    self->idle_size += which->size;
    which->older = self->newest;
    *(self->newest != NULL ? &self->newest->newer : &self->oldest) = which;
    self->newest = which;
}

/* Free the records that have been idle longest. */
static void
trim_idle(contexts *self)
{
    while (self->idle_size > MAX_IDLE && self->oldest != NULL) {
        context_record *oldest = self->oldest;
        if (PyDict_DelItem(self->records, oldest->label) < 0) {
            PyErr_Clear();
            return; /* no memory: the next call tries again */
        }
        remove_idle(self, oldest);
        Py_DECREF(oldest->label);
        context_recorded_free(oldest->recorded);
        free(oldest);
    }
}

/* The record of `label`, for one more chain; NULL with an exception set. */
static context_record *
record_for_label(contexts *self, PyObject *label)
{
    PyObject *known = PyDict_GetItemWithError(self->records, label); /* borrowed */
    if (known != NULL) {
        context_record *found = PyLong_AsVoidPtr(known);
        if (found->chains == 0) {
            remove_idle(self, found);
        }
        found->chains++;
        return found;
    }
    if (PyErr_Occurred()) {
        return NULL;
    }
    trim_idle(self);
    Py_ssize_t size;
    const char *text = PyUnicode_AsUTF8AndSize(label, &size);
    context_record *made = text != NULL ? calloc(1, sizeof(*made)) : NULL;
    PyObject *address = made != NULL ? PyLong_FromVoidPtr(made) : NULL; /* owned */
    if (address == NULL || (made->recorded = context_recorded_new(text, (size_t)size)) == NULL ||
        PyDict_SetItem(self->records, label, address) < 0) {
        if (made != NULL && made->recorded != NULL) {
            context_recorded_free(made->recorded);
        }
        free(made);
        Py_XDECREF(address);
        return PyErr_Occurred() ? NULL : (context_record *)PyErr_NoMemory();
    }
    Py_DECREF(address);
    made->label = Py_NewRef(label);
    made->chains = 1;
    return made;
}

static void
chain_dealloc(PyObject *object)
{
    chain_object *self = (chain_object *)object;
    contexts *owner = self->owner;
    PyTypeObject *type = Py_TYPE(object);
    if (--self->record->chains == 0) {
        add_idle(owner, self->record);
    }
    Py_XDECREF(self->segments);
    bool runs = owner->running != NULL && PyList_GET_SIZE(owner->running) > 0;
    if (--owner->chains == 0 && owner->kinds == 0 && !runs &&
        owner->times_disabled < MAX_DISABLES) {
        owner->times_disabled++;
        owner->owner->records_contexts = false;
    }
    type->tp_free(object);
    Py_DECREF(type);
}

static PyObject *
chain_repr(PyObject *object)
{
    return PyUnicode_FromFormat("<covsup context %R>", ((chain_object *)object)->record->label);
}

static PyType_Slot chain_slots[] = {
    {Py_tp_dealloc, chain_dealloc},
    {Py_tp_repr, chain_repr},
    {0, NULL},
};

static PyType_Spec chain_spec = {
    .name = "covsup.tracer_c._tracer.Context",
    .basicsize = sizeof(chain_object),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = chain_slots,
};

/* `text` as a label may be: lone surrogates are written as \udcxx, NUL as \x00, and it is cut. */
static PyObject *
clean(PyObject *text)
{
    PyObject *zero = NULL, *escaped = NULL, *shown = NULL, *bytes = NULL,
             *result = NULL;                                 /* owned */
    PyObject *cut = PyUnicode_Substring(text, 0, MAX_LABEL); /* owned */
    if (cut == NULL || (zero = PyUnicode_FromStringAndSize("\0", 1)) == NULL ||
        (escaped = PyUnicode_FromString("\\x00")) == NULL ||
        (shown = PyUnicode_Replace(cut, zero, escaped, -1)) == NULL ||
        (bytes = PyUnicode_AsEncodedString(shown, "utf-8", "backslashreplace")) == NULL) {
        goto done;
    }
    const char *start = PyBytes_AS_STRING(bytes);
    Py_ssize_t size = PyBytes_GET_SIZE(bytes);
    if (size > MAX_LABEL) {
        for (size = MAX_LABEL; size > 0 && ((unsigned char)start[size] & 0xC0) == 0x80; size--) {
        }
    }
    result = PyUnicode_DecodeUTF8(start, size, NULL);
done:
    Py_XDECREF(cut);
    Py_XDECREF(zero);
    Py_XDECREF(escaped);
    Py_XDECREF(shown);
    Py_XDECREF(bytes);
    return result;
}

PyObject *
segment_new(segment_kind kind, PyObject *text)
{
    PyObject *cleaned = clean(text); /* owned */
    PyObject *segment = cleaned != NULL ? Py_BuildValue("(iO)", (int)kind, cleaned) : NULL;
    Py_XDECREF(cleaned);
    return segment;
}

PyObject *
segment_new_suspendable(segment_kind kind, PyObject *text)
{
    PyObject *cleaned = clean(text); /* owned */
    PyObject *segment =
        cleaned != NULL ? Py_BuildValue("(iOO)", (int)kind, cleaned, Py_True) : NULL;
    Py_XDECREF(cleaned);
    return segment;
}

bool
segment_is_suspendable(PyObject *segment)
{
    return PyTuple_GET_SIZE(segment) > 2;
}

segment_kind
segment_kind_of(PyObject *segment)
{
    return (segment_kind)PyLong_AsLong(PyTuple_GET_ITEM(segment, 0));
}

PyObject *
segments_label(contexts *self, PyObject *segments, unsigned without)
{
    PyObject *label = NULL;
    PyObject *texts = PyList_New(0); /* owned */
    Py_ssize_t size = 0;
    /* Stop at the longest label, so that deep chains stay cheap. */
    for (Py_ssize_t i = 0; texts != NULL && i < PyTuple_GET_SIZE(segments) && size <= MAX_LABEL;
         i++) {
        PyObject *segment = PyTuple_GET_ITEM(segments, i);
        if ((without & KIND_BIT(segment_kind_of(segment))) != 0) {
            continue;
        }
        PyObject *text = PyTuple_GET_ITEM(segment, 1);
        size += PyUnicode_GET_LENGTH(text) + 1;
        if (PyList_Append(texts, text) < 0) {
            Py_CLEAR(texts);
        }
    }
    if (texts != NULL) {
        PyObject *whole = PyUnicode_Join(self->separator, texts); /* owned */
        label = whole != NULL ? clean(whole) : NULL;
        Py_XDECREF(whole);
        Py_DECREF(texts);
    }
    return label;
}

PyObject *
chain_new(contexts *self, PyObject *segments)
{
    PyObject *label = segments_label(self, segments, 0); /* owned */
    if (label == NULL) {
        return NULL;
    }
    context_record *record = record_for_label(self, label);
    Py_DECREF(label);
    if (record == NULL) {
        return NULL;
    }
    chain_object *chain = PyObject_New(chain_object, self->type);
    if (chain == NULL) {
        if (--record->chains == 0) {
            add_idle(self, record);
        }
        return NULL;
    }
    chain->owner = self;
    chain->segments = Py_NewRef(segments);
    chain->record = record;
    self->chains++;
    return (PyObject *)chain;
}

bool
chain_is(const contexts *self, PyObject *object)
{
    return object != NULL && Py_IS_TYPE(object, self->type);
}

PyObject *
segments_find(PyObject *segments, segment_kind kind)
{
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(segments); i++) {
        if (segment_kind_of(PyTuple_GET_ITEM(segments, i)) == kind) {
            return PyTuple_GET_ITEM(segments, i);
        }
    }
    return NULL;
}

PyObject *
segments_edit(PyObject *segments, unsigned without, PyObject *but, PyObject *more)
{
    PyObject *result = NULL;
    PyObject *list = PyList_New(0); /* owned */
    if (list == NULL) {
        return NULL;
    }
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(segments); i++) {
        PyObject *segment = PyTuple_GET_ITEM(segments, i);
        if (segment != but && (without & KIND_BIT(segment_kind_of(segment))) == 0 &&
            PyList_Append(list, segment) < 0) {
            goto done;
        }
    }
    if (more != NULL) {
        bool first = segment_kind_of(more) == SEGMENT_PROCESS;
        if (PyList_Insert(list, first ? 0 : PyList_GET_SIZE(list), more) < 0) {
            goto done;
        }
    }
    result = PyList_AsTuple(list);
done:
    Py_DECREF(list);
    return result;
}

PyTypeObject *
chain_type(void)
{
    return (PyTypeObject *)PyType_FromSpec(&chain_spec);
}

context_recorded *
chain_recorded(PyObject *chain)
{
    return ((chain_object *)chain)->record->recorded;
}

PyObject *
chain_segments(PyObject *chain)
{
    return ((chain_object *)chain)->segments;
}
