/* module/module_contexts.c - the module's functions for a program that names its contexts itself.
 *
 * Threads: with an attached thread state.
 * Must never know: where events come from, what is recorded. */
#include "module/module_contexts.h"

#include "contexts/chain.h"
#include "contexts/current.h"
#include "contexts/running_tests.h"
#include "core/interpreter.h"

static contexts *
contexts_of_interpreter(void)
{
    core *self = interpreter_core();
    return self != NULL ? self->contexts : NULL;
}

static bool
is_label(PyObject *label)
{
    if (!PyUnicode_Check(label)) {
        PyErr_SetString(PyExc_TypeError, "a context's label is a str");
        return false;
    }
    return true;
}

/* None, or NULL where an exception is set. */
static PyObject *
none_or_exception(void)
{
    if (PyErr_Occurred()) {
        return NULL;
    }
    Py_RETURN_NONE;
}

/* Make `segments` current (NULL: an exception is set), and record contexts from now on. The context
 * variable's token (owned), or NULL with an exception set. */
static PyObject *
make_current(contexts *self, PyObject *segments)
{
    return segments != NULL && contexts_enable(self) == 0 ? contexts_set_segments(self, segments)
                                                          : NULL;
}

/* A new segment of that kind, in *segment (owned), and the current segments with it at their end
 * but without those of the kinds `without` (owned). NULL with an exception set. */
static PyObject *
segments_with_label(contexts *self, segment_kind kind, PyObject *label, unsigned without,
                    PyObject **segment)
{
    PyObject *result = NULL;
    PyObject *segments = contexts_segments(self); /* owned */
    *segment = segments != NULL ? segment_new(kind, label) : NULL;
    if (*segment != NULL) {
        result = segments_edit(segments, without, NULL, *segment);
    }
    Py_XDECREF(segments);
    return result;
}

PyDoc_STRVAR(enter_context_doc, "enter_context(label)\n--\n\n"
                                "Record under `label`, inside the current context.\n\n"
                                "Returns a value for leave_context().");

static PyObject *
enter_context(PyObject *module, PyObject *label)
{
    contexts *self = contexts_of_interpreter();
    if (!is_label(label)) {
        return NULL;
    }
    if (self == NULL || PyUnicode_GET_LENGTH(label) == 0) {
        Py_RETURN_NONE;
    }
    PyObject *segment;                                                               /* owned */
    PyObject *segments = segments_with_label(self, SEGMENT_OWN, label, 0, &segment); /* owned */
    PyObject *token = make_current(self, segments);                                  /* owned */
    PyObject *result = token != NULL ? PyTuple_Pack(3, segment, token, segments) : NULL;
    Py_XDECREF(segment);
    Py_XDECREF(segments);
    Py_XDECREF(token);
    return result;
}

PyDoc_STRVAR(leave_context_doc,
             "leave_context(entered)\n--\n\n"
             "End the context that enter_context() began, also inside of others.");

static PyObject *
leave_context(PyObject *module, PyObject *entered)
{
    contexts *self = contexts_of_interpreter();
    if (self == NULL || !PyTuple_Check(entered) || PyTuple_GET_SIZE(entered) != 3) {
        Py_RETURN_NONE;
    }
    PyObject *chain = contexts_stored_chain(self); /* borrowed */
    if (chain != NULL && chain_segments(chain) == PyTuple_GET_ITEM(entered, 2)) {
        /* Nothing has changed since: restore the variable, which may have had no value. */
        if (contexts_reset(self, PyTuple_GET_ITEM(entered, 1)) == 0) {
            Py_RETURN_NONE;
        }
        PyErr_Clear(); /* this is a copy of the contextvars.Context in which it was entered */
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
    return none_or_exception();
}

/* The segments with `new` in the place of `old`. New reference, or NULL with an exception set. */
static PyObject *
segments_replaced(PyObject *segments, PyObject *old, PyObject *new)
{
    PyObject *result = NULL;
    PyObject *list = PySequence_List(segments); /* owned */
    Py_ssize_t at = list != NULL ? PySequence_Index(segments, old) : -1;
    if (at >= 0 && PyList_SetItem(list, at, Py_NewRef(new)) == 0) {
        result = PyList_AsTuple(list);
    }
    Py_XDECREF(list);
    return result;
}

PyDoc_STRVAR(switch_context_doc,
             "switch_context(label)\n--\n\n"
             "Record under `label` instead of the label of the last call; None: under none.");

static PyObject *
switch_context(PyObject *module, PyObject *label)
{
    contexts *self = contexts_of_interpreter();
    if (label != Py_None && !PyUnicode_Check(label)) {
        PyErr_SetString(PyExc_TypeError, "a context's label is a str or None");
        return NULL;
    }
    bool ends = label == Py_None || PyUnicode_GET_LENGTH(label) == 0;
    if (self == NULL || (ends && !self->owner->records_contexts)) {
        Py_RETURN_NONE;
    }
    PyObject *segment = NULL, *changed = NULL, *token = NULL; /* owned */
    PyObject *segments = contexts_segments(self);             /* owned */
    PyObject *old = segments != NULL ? segments_find(segments, SEGMENT_SWITCHED) : NULL;
    if (segments == NULL || (ends && old == NULL)) {
        goto done;
    }
    if (ends) {
        changed = segments_edit(segments, 0, old, NULL);
    } else if ((segment = segment_new(SEGMENT_SWITCHED, label)) != NULL) {
        changed = old == NULL ? segments_edit(segments, 0, NULL, segment)
                              : segments_replaced(segments, old, segment);
    }
    token = make_current(self, changed);
done:
    Py_XDECREF(segments);
    Py_XDECREF(segment);
    Py_XDECREF(changed);
    Py_XDECREF(token);
    return none_or_exception();
}

PyDoc_STRVAR(enter_test_doc,
             "enter_test(label)\n--\n\n"
             "Record under `label` here, and in all code that belongs to no other running test.\n\n"
             "Returns a value for leave_test().");

static PyObject *
enter_test(PyObject *module, PyObject *label)
{
    const unsigned without =
        KIND_BIT(SEGMENT_TEST) | KIND_BIT(SEGMENT_ADOPTED_TEST) | KIND_BIT(SEGMENT_SWITCHED);
    contexts *self = contexts_of_interpreter();
    if (!is_label(label)) {
        return NULL;
    }
    if (self == NULL) {
        Py_RETURN_NONE;
    }
    PyObject *segment; /* owned */
    PyObject *token = NULL;
    PyObject *segments =
        segments_with_label(self, SEGMENT_TEST, label, without, &segment); /* owned */
    if (segments != NULL && contexts_enable(self) == 0 && test_start(self, segment) == 0 &&
        (token = contexts_set_segments(self, segments)) == NULL) {
        test_end(self, segment); /* no memory: leave_test() will not be called */
    }
    if (token == NULL) {
        Py_CLEAR(segment);
    }
    Py_XDECREF(segments);
    Py_XDECREF(token);
    return segment;
}

PyDoc_STRVAR(leave_test_doc, "leave_test(entered)\n--\n\n"
                             "End the test that enter_test() began.");

static PyObject *
leave_test(PyObject *module, PyObject *entered)
{
    contexts *self = contexts_of_interpreter();
    if (self == NULL || !PyTuple_Check(entered)) {
        Py_RETURN_NONE;
    }
    test_end(self, entered);
    PyObject *left = NULL, *token = NULL;         /* owned */
    PyObject *segments = contexts_segments(self); /* owned */
    if (segments != NULL) {
        left = segments_edit(segments, KIND_BIT(SEGMENT_SWITCHED), NULL, NULL);
    }
    if (left != NULL) {
        token = contexts_set_segments(self, left);
    }
    Py_XDECREF(segments);
    Py_XDECREF(left);
    Py_XDECREF(token);
    return none_or_exception();
}

static PyMethodDef methods[] = {
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
    return PyModule_AddFunctions(module, methods);
}
