/* fold/module.h - what the Python types of `covsup.datafile._fold` have in common.
 *
 * Threads: an object belongs to whoever holds it, as a Python list does; no function may be called
 * on one object by two threads at a time. The module has no state but its types and a seed. */
#ifndef COVSUP_FOLD_MODULE_H
#define COVSUP_FOLD_MODULE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "journal/words.h"

typedef struct {
    PyTypeObject *journal_facts_type;
    PyTypeObject *fact_union_type;
    uint64_t seed; /* of every key_index */
} fold_state;

/* The words of one journal, sorted. */
typedef struct {
    PyObject_HEAD journal_facts words;
} journal_facts_object;

extern PyType_Spec journal_facts_spec;
extern PyType_Spec fact_union_spec;

/* One without words; NULL with an exception set. */
journal_facts_object *new_journal_facts(fold_state *state);

PyObject *decode_words(PyObject *module, PyObject *args);
PyObject *read_intact(PyObject *module, PyObject *args);
PyObject *arc_numbers(PyObject *module, PyObject *args);

/* An arc as one number: its first line << ARC_BITS, plus its second line + half of that range. */
#define ARC_BITS 28

/* A set of lines as an int whose bit n is line n; a set of arcs as bytes, two 32-bit numbers of
 * this machine's order for each arc. */
PyObject *lines_as_int(const line_set *lines);
PyObject *arcs_as_bytes(const arc_set *arcs);
/* Appends the arcs in such bytes; -1 with an exception set. */
int arcs_from_bytes(arc_set *arcs, PyObject *bytes);

#endif
