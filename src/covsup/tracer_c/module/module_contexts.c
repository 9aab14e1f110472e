/* module/module_contexts.c - the module's functions for a program that names its contexts itself.
 *
 * Threads: as called from Python.
 * Must never know: where events come from, what they tell. */
#include "contexts/state.h"
#include "core/interpreter.h"

static contexts *
contexts_here(void)
{
    core *self = interpreter_core();
    return self != NULL ? self->contexts : NULL;
}

PyDoc_STRVAR(enter_context_doc,
             "enter_context(label)\n--\n\n"
             "Record under `label`, inside of what is current; what leave_context() wants.");

static PyObject *
enter_context(PyObject *module, PyObject *label)
{
    contexts *self = contexts_here();
    if (!PyUnicode_Check(label)) {
        PyErr_SetString(PyExc_TypeError, "a context's label is a str");
        return NULL;
    }
    if (self == NULL || PyUnicode_GET_LENGTH(label) == 0) {
        Py_RETURN_NONE;
    }
    PyObject *result = NULL, *more = NULL, *token = NULL;                          /* owned */
    PyObject *segments = contexts_segments(self);                                  /* owned */
    PyObject *segment = segments != NULL ? segment_new(SEGMENT_OWN, label) : NULL; /* owned */
    if (segment == NULL || (more = segments_edit(segments, 0, NULL, segment)) == NULL ||
        contexts_enable(self) < 0 || (token = contexts_set_segments(self, more)) == NULL) {
        goto done;
    }
    result = PyTuple_Pack(3, segment, token, more);
done:
    Py_XDECREF(segments);
    Py_XDECREF(segment);
    Py_XDECREF(more);
    Py_XDECREF(token);
    return result;
}

PyDoc_STRVAR(leave_context_doc, "leave_context(entered)\n--\n\n"
                                "End what enter_context() began, wherever it is in the chain.");

static PyObject *
leave_context(PyObject *module, PyObject *entered)
{
    contexts *self = contexts_here();
    if (self == NULL || !PyTuple_Check(entered) || PyTuple_GET_SIZE(entered) != 3) {
        Py_RETURN_NONE;
    }
    PyObject *chain = contexts_stored_chain(self); /* borrowed */
    if (chain != NULL && chain_segments(chain) == PyTuple_GET_ITEM(entered, 2)) {
        /* Nothing has changed since: the variable becomes what it was, or goes. */
        if (contexts_reset(self, PyTuple_GET_ITEM(entered, 1)) == 0) {
            Py_RETURN_NONE;
        }
        PyErr_Clear(); /* a copy of the context that it was entered in */
    }
    PyObject *segments = contexts_segments(self); /* owned */
    PyObject *left = NULL, *token = NULL;         /* owned */
    if (segments != NULL) {
        left = segments_edit(segments, 0, PyTuple_GET_ITEM(entered, 0), NULL);
        if (left != NULL && PyTuple_GET_SIZE(left) != PyTuple_GET_SIZE(segments)) {
            token = contexts_set_segments(self, left);
        }
    }
    Py_XDECREF(segments);
    Py_XDECREF(left);
    Py_XDECREF(token);
    if (PyErr_Occurred()) {
        return NULL;
    }
    Py_RETURN_NONE;
}

PyDoc_STRVAR(switch_context_doc,
             "switch_context(label)\n--\n\n"
             "Record under `label` (None: no more) in place of what was switched to before.");

static PyObject *
switch_context(PyObject *module, PyObject *label)
{
    contexts *self = contexts_here();
    bool ends = label == Py_None;
    if (!ends && !PyUnicode_Check(label)) {
        PyErr_SetString(PyExc_TypeError, "a context's label is a str or None");
        return NULL;
    }
    ends = ends || PyUnicode_GET_LENGTH(label) == 0;
    if (self == NULL || (ends && !self->owner->records_contexts)) {
        Py_RETURN_NONE;
    }
    PyObject *segment = NULL, *changed_to = NULL, *list = NULL, *token = NULL; /* owned */
    PyObject *segments = contexts_segments(self);                              /* owned */
    if (segments == NULL) {
        goto done;
    }
    PyObject *old = segments_find(segments, SEGMENT_SWITCHED); /* borrowed */
    if (ends) {
        if (old == NULL) {
            goto done;
        }
        changed_to = segments_edit(segments, 0, old, NULL);
    } else if ((segment = segment_new(SEGMENT_SWITCHED, label)) != NULL) {
        if (old == NULL) {
            changed_to = segments_edit(segments, 0, NULL, segment);
        } else if ((list = PySequence_List(segments)) != NULL) {
            Py_ssize_t at = PySequence_Index(segments, old);
            if (at >= 0 && PyList_SetItem(list, at, Py_NewRef(segment)) == 0) {
                changed_to = PyList_AsTuple(list);
            }
        }
    }
    if (changed_to != NULL && contexts_enable(self) == 0) {
        token = contexts_set_segments(self, changed_to);
    }
done:
    Py_XDECREF(segments);
    Py_XDECREF(segment);
    Py_XDECREF(changed_to);
    Py_XDECREF(list);
    Py_XDECREF(token);
    if (PyErr_Occurred()) {
        return NULL;
    }
    Py_RETURN_NONE;
}

PyDoc_STRVAR(enter_test_doc,
             "enter_test(label)\n--\n\n"
             "Record under `label`, here and in what belongs to no other test that runs; what\n"
             "leave_test() wants.");

static PyObject *
enter_test(PyObject *module, PyObject *label)
{
    const unsigned without =
        KIND_BIT(SEGMENT_TEST) | KIND_BIT(SEGMENT_ADOPTED_TEST) | KIND_BIT(SEGMENT_SWITCHED);
    contexts *self = contexts_here();
    if (!PyUnicode_Check(label)) {
        PyErr_SetString(PyExc_TypeError, "a context's label is a str");
        return NULL;
    }
    if (self == NULL) {
        Py_RETURN_NONE;
    }
    PyObject *more = NULL, *token = NULL;                                           /* owned */
    PyObject *segments = contexts_segments(self);                                   /* owned */
    PyObject *segment = segments != NULL ? segment_new(SEGMENT_TEST, label) : NULL; /* owned */
    if (segment == NULL || (more = segments_edit(segments, without, NULL, segment)) == NULL ||
        contexts_enable(self) < 0 || test_start(self, segment) < 0 ||
        (token = contexts_set_segments(self, more)) == NULL) {
        Py_CLEAR(segment);
    }
    Py_XDECREF(segments);
    Py_XDECREF(more);
    Py_XDECREF(token);
    return segment;
}

PyDoc_STRVAR(leave_test_doc, "leave_test(entered)\n--\n\n"
                             "The test has ended that enter_test() began.");

static PyObject *
leave_test(PyObject *module, PyObject *entered)
{
    contexts *self = contexts_here();
    if (self == NULL || !PyTuple_Check(entered)) {
        Py_RETURN_NONE;
    }
    test_end(self, entered);
    PyObject *left = NULL, *token = NULL;         /* owned */
    PyObject *segments = contexts_segments(self); /* owned */
    if (segments != NULL &&
        (left = segments_edit(segments, KIND_BIT(SEGMENT_SWITCHED), NULL, NULL)) != NULL) {
        token = contexts_set_segments(self, left);
    }
    Py_XDECREF(segments);
    Py_XDECREF(left);
    Py_XDECREF(token);
    if (PyErr_Occurred()) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyMethodDef contexts_methods[] = {
    {"enter_context", enter_context, METH_O, enter_context_doc},
    {"leave_context", leave_context, METH_O, leave_context_doc},
    {"switch_context", switch_context, METH_O, switch_context_doc},
    {"enter_test", enter_test, METH_O, enter_test_doc},
    {"leave_test", leave_test, METH_O, leave_test_doc},
    {NULL, NULL, 0, NULL},
};

int
module_contexts_add(PyObject *module)
{
    return PyModule_AddFunctions(module, contexts_methods);
}
