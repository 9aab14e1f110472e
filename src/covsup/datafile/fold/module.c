/* fold/module.c - the module `covsup.datafile._fold`: the fold's inner loop.
 *
 * Must never know: anything of covsup's Python. */
#include "fold/module.h"

#include <string.h>

PyDoc_STRVAR(
    sort_doc,
    "sort(words, swapped, version, largest_line, memory)\n--\n\n"
    "Sort the words of a journal of a format's version; `swapped` if its byte order is not\n"
    "this machine's.\n\n"
    "Lines above `largest_line` are kept apart. What would make the facts cost more than\n"
    "`memory` bytes is left out, and counted.");

PyDoc_STRVAR(read_intact_doc,
             "read_intact(path, owner, newest, largest_line, memory, kinds, cores)\n--\n\n"
             "The fields of a journal's header, and its words sorted; None if it is not sound.\n\n"
             "Sound is a whole journal, of the version `newest` or an earlier one, in a regular\n"
             "file of root's or of the user `owner` (None: anybody). The limits are those of\n"
             "sort(); `kinds` and `cores` are what the header's numbers stand for, from 1 on.");

PyDoc_STRVAR(arc_numbers_doc,
             "arc_numbers(arcs, lines)\n--\n\n"
             "The arcs, and each of the lines (numbits) as an arc to itself, as a JSON array. An\n"
             "arc is a number there: its first line << ARC_BITS, plus its second line + half of\n"
             "that range.");

PyDoc_STRVAR(united_doc, "united(arcs, others)\n--\n\nThe union of two sets of arcs.");

static PyObject *
united(PyObject *module, PyObject *args)
{
    PyObject *one, *other, *bytes = NULL;
    if (!PyArg_ParseTuple(args, "SS", &one, &other)) {
        return NULL;
    }
    arc_set arcs = {0};
    if (arcs_from_bytes(&arcs, one) == 0 && arcs_from_bytes(&arcs, other) == 0) {
        bytes = arc_set_settle(&arcs) < 0 ? PyErr_NoMemory() : arcs_as_bytes(&arcs);
    }
    arc_set_free(&arcs);
    return bytes;
}

static PyMethodDef methods[] = {
    {"sort", decode_words, METH_VARARGS, sort_doc},
    {"read_intact", read_intact, METH_VARARGS, read_intact_doc},
    {"arc_numbers", arc_numbers, METH_VARARGS, arc_numbers_doc},
    {"united", united, METH_VARARGS, united_doc},
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
    /* Secret as the hashes of strings are, so that no journal can be made to be slow. */
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
    return state->fact_union_type == NULL ? -1 : PyModule_AddIntMacro(module, ARC_BITS);
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

PyDoc_STRVAR(module_doc, "The fold's inner loop: journals sorted, and their union.");

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
