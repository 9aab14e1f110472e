/* fold/module.h - the state of the extension `covsup.datafile._fold`, and what its types share.
 *
 * Threads: an object of these types is used as a Python list is: no two threads may call functions
 * of one object at a time. The module has no state but its types and a seed, which do not change.
 */
#ifndef COVSUP_FOLD_MODULE_H
#define COVSUP_FOLD_MODULE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "journal/word_decoder.h"

typedef struct {
    PyTypeObject *journal_facts_type;
    PyTypeObject *fact_union_type;
    uint64_t seed; /* of every key_index */
} fold_state;

/* What the words of one journal say. */
typedef struct {
    PyObject_HEAD journal_facts facts;
} journal_facts_object;

extern PyType_Spec journal_facts_spec;
extern PyType_Spec fact_union_spec;

/* An empty one; NULL with an exception set. */
journal_facts_object *new_journal_facts(fold_state *state);

/* Functions of the module. */
PyObject *decode_words(PyObject *module, PyObject *args);
PyObject *read_intact(PyObject *module, PyObject *args);
PyObject *arc_numbers(PyObject *module, PyObject *args);

/* journal/layout.c: adds the constants of the journal's format to the module. -1: exception set. */
int layout_add_constants(PyObject *module);

/* An arc as one number: its first line << ARC_BITS, plus its second line + half of that range. */
#define ARC_BITS 28

/* A set of lines as an int whose bit n is line n. */
PyObject *lines_as_int(const line_set *lines);
/* A set of arcs as bytes: two 32-bit numbers, in this machine's byte order, for each arc. */
PyObject *arcs_as_bytes(const arc_set *arcs);
/* Appends the arcs in such bytes; -1 with an exception set. */
int arcs_from_bytes(arc_set *arcs, PyObject *bytes);

#endif
