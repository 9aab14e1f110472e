/* journal/layout.c - what headers of the tracer define, as constants of the extension for Python.
 *
 * tracer_c/journal/format.h is the only definition of the journal's format, and contexts/kinds.h
 * the only list of the kinds of contexts. Must never know: what the numbers mean. */
#include "fold/module.h"
#include "journal/header.h"
#include "tracer_c/contexts/kinds.h"

#define NUMBER(name) {#name, (long long)(name)}

static const struct {
    const char *name;
    long long value;
} numbers[] = {
    NUMBER(JOURNAL_VERSION),
    NUMBER(JOURNAL_HEADER_SIZE),
    NUMBER(JOURNAL_BYTE_ORDER),
    NUMBER(JOURNAL_CHECKED_FROM),
    NUMBER(JOURNAL_CHECKED_TO),
    NUMBER(JOURNAL_FLAG_BRANCH),
    NUMBER(JOURNAL_LONGEST),
    NUMBER(JOURNAL_SPAWNED),
    NUMBER(JOURNAL_FORKED),
    NUMBER(JOURNAL_EXECED),
    NUMBER(JOURNAL_CORE_MONITORING),
    NUMBER(JOURNAL_CORE_SETTRACE),
    NUMBER(JOURNAL_STAGE_FILL),
    NUMBER(JOURNAL_STAGE_GROW),
    NUMBER(RECORD_WORD_SIZE),
    NUMBER(BLOB_EVENT),
    NUMBER(BLOB_CLAIM),
    NUMBER(EVENT_EXEC_ABOUT),
    NUMBER(EVENT_EXEC_FAILED),
    NUMBER(EVENT_SPAWNED),
    NUMBER(EVENT_REAPED),
    NUMBER(EVENT_ENDED),
    NUMBER(EVENT_LIBRARY),
    NUMBER(EVENT_TRACER),
    NUMBER(EVENT_NOTE),
    NUMBER(EVENT_UNEXECUTED),
    NUMBER(ENDED_BY_EXIT),
    NUMBER(ENDED_BY_UNDERSCORE_EXIT),
    NUMBER(ENDED_OTHERWISE),
    NUMBER(ENDED_BY_SIGNAL),
    NUMBER(ENDED_BY_DETACH),
};

/* (name, offset, size) of every field of the header, in the order of the header. */
static PyObject *
header_layout(void)
{
    PyObject *layout = PyTuple_New(HEADER_FIELDS);
    for (Py_ssize_t at = 0; layout != NULL && at < HEADER_FIELDS; at++) {
        const header_field *field = &header_fields[at];
        PyObject *entry =
            Py_BuildValue("(sII)", field->name, (unsigned)field->offset, (unsigned)field->size);
        if (entry == NULL) {
            Py_CLEAR(layout);
        } else {
            PyTuple_SET_ITEM(layout, at, entry);
        }
    }
    return layout;
}

/* The names of the kinds of contexts. */
static PyObject *
context_kinds(void)
{
#define ITEM(kind, name) name,
    static const char *const names[] = {CONTEXT_KINDS(ITEM)};
#undef ITEM
    const Py_ssize_t count = sizeof(names) / sizeof(*names);
    PyObject *kinds = PyTuple_New(count);
    for (Py_ssize_t at = 0; kinds != NULL && at < count; at++) {
        PyObject *name = PyUnicode_FromString(names[at]);
        if (name == NULL) {
            Py_CLEAR(kinds);
        } else {
            PyTuple_SET_ITEM(kinds, at, name);
        }
    }
    return kinds;
}

/* Adds a constant. Steals the reference to the value. */
static int
add(PyObject *module, const char *name, PyObject *value)
{
    int rc = value == NULL ? -1 : PyModule_AddObjectRef(module, name, value);
    Py_XDECREF(value);
    return rc;
}

int
layout_add_constants(PyObject *module)
{
    for (size_t at = 0; at < sizeof(numbers) / sizeof(*numbers); at++) {
        if (add(module, numbers[at].name, PyLong_FromLongLong(numbers[at].value)) < 0) {
            return -1;
        }
    }
    if (add(module, "JOURNAL_MAGIC", PyBytes_FromStringAndSize(JOURNAL_MAGIC, JOURNAL_MAGIC_SIZE)) <
        0) {
        return -1;
    }
    if (add(module, "CONTEXT_KINDS", context_kinds()) < 0) {
        return -1;
    }
    return add(module, "HEADER_LAYOUT", header_layout());
}
