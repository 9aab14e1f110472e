/* fold/module.c - the extension `covsup.datafile._fold`: journals decoded, and their union.
 *
 * Must never know: anything of covsup's Python. */
#include "fold/module.h"

#include <string.h>

PyDoc_STRVAR(decode_words_doc,
             "decode_words(words, swapped, version, largest_line, memory)\n--\n\n"
             "Decode the words (bytes) of a journal of format `version`. `swapped` says whether\n"
             "its byte order is not this machine's.\n\n"
             "Facts with lines above `largest_line` are kept apart. Facts that would need more\n"
             "than `memory` bytes are left out and counted. Raises ValueError, MemoryError.");

PyDoc_STRVAR(
    read_intact_doc,
    "read_intact(path, owner, largest_line, memory, kinds, cores)\n--\n\n"
    "Read an intact journal: the fields of its header, and its JournalFacts. None if it\n"
    "is not intact.\n\n"
    "Intact is a whole journal of a known version in a regular file that root or the user\n"
    "`owner` owns (None: anybody). The limits are those of decode_words(); `kinds` and\n"
    "`cores` are the members of StartKind and Core, in order. Raises MemoryError.");

PyDoc_STRVAR(arc_numbers_doc,
             "arc_numbers(arcs, lines)\n--\n\n"
             "The arcs, and each of the lines (numbits) as an arc to itself, as a JSON array of\n"
             "numbers. The number of an arc is its first line << ARC_BITS, plus its second line +\n"
             "half of that range.");

PyDoc_STRVAR(unite_arcs_doc, "unite_arcs(arcs, others)\n--\n\nThe union of two sets of arcs.");

static PyObject *
unite_arcs(PyObject *module, PyObject *args)
{
    PyObject *one, *other, *bytes = NULL;
    if (!PyArg_ParseTuple(args, "SS", &one, &other)) {
        return NULL;
    }
    arc_set arcs = {0};
    if (arcs_from_bytes(&arcs, one) == 0 && arcs_from_bytes(&arcs, other) == 0) {
        bytes = arc_set_normalize(&arcs) < 0 ? PyErr_NoMemory() : arcs_as_bytes(&arcs);
    }
    arc_set_free(&arcs);
    return bytes;
}

PyDoc_STRVAR(arc_lines_doc,
             "arc_lines(arcs)\n--\n\nThe lines that arcs begin or end at, as an int.");

static PyObject *
arc_lines(PyObject *module, PyObject *bytes)
{
    PyObject *number = NULL;
    arc_set arcs = {0};
    line_set lines = {0};
    if (arcs_from_bytes(&arcs, bytes) == 0) {
        number = line_set_add_ends(&lines, &arcs) < 0 ? PyErr_NoMemory() : lines_as_int(&lines);
    }
    arc_set_free(&arcs);
    line_set_free(&lines);
    return number;
}

static PyMethodDef methods[] = {
    {"decode_words", decode_words, METH_VARARGS, decode_words_doc},
    {"read_intact", read_intact, METH_VARARGS, read_intact_doc},
    {"arc_numbers", arc_numbers, METH_VARARGS, arc_numbers_doc},
    {"unite_arcs", unite_arcs, METH_VARARGS, unite_arcs_doc},
    {"arc_lines", arc_lines, METH_O, arc_lines_doc},
    {NULL, NULL, 0, NULL},
};

static PyTypeObject *
add_type(PyObject *module, PyType_Spec *spec)
{
    PyTypeObject *type = (PyTypeObject *)PyType_FromModuleAndSpec(module, spec, NULL);
    if (type != NULL && PyModule_AddType(module, type) < 0) {
        Py_CLEAR(type);
    }
    return type;
}

static int
module_exec(PyObject *module)
{
    fold_state *state = PyModule_GetState(module);
    /* As secret as the hashes of strings, so that no journal can be made that fills one slot. */
    PyObject *text = PyUnicode_FromString("covsup.datafile._fold");
    Py_hash_t hash = text == NULL ? -1 : PyObject_Hash(text);
    Py_XDECREF(text);
    if (hash == -1) {
        return -1;
    }
    state->seed = (uint64_t)hash;
    state->journal_facts_type = add_type(module, &journal_facts_spec);
    state->fact_union_type =
        state->journal_facts_type == NULL ? NULL : add_type(module, &fact_union_spec);
    if (state->fact_union_type == NULL || PyModule_AddIntMacro(module, ARC_BITS) < 0) {
        return -1;
    }
    return layout_add_constants(module);
}

static int
module_traverse(PyObject *module, visitproc visit, void *arg)
{
    fold_state *state = PyModule_GetState(module);
    Py_VISIT(state->journal_facts_type);
    Py_VISIT(state->fact_union_type);
    return 0;
}

static int
module_clear(PyObject *module)
{
    fold_state *state = PyModule_GetState(module);
    Py_CLEAR(state->journal_facts_type);
    Py_CLEAR(state->fact_union_type);
    return 0;
}

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, module_exec},
#ifdef Py_MOD_PER_INTERPRETER_GIL_SUPPORTED
    {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
#endif
    {0, NULL},
};

PyDoc_STRVAR(module_doc, "The fold's inner loop: journals decoded, and their union.");

static struct PyModuleDef module_definition = {
    PyModuleDef_HEAD_INIT,         .m_name = "covsup.datafile._fold",
    .m_doc = module_doc,           .m_size = sizeof(fold_state),
    .m_methods = methods,          .m_slots = slots,
    .m_traverse = module_traverse, .m_clear = module_clear,
};

PyMODINIT_FUNC
PyInit__fold(void)
{
    return PyModuleDef_Init(&module_definition);
}
