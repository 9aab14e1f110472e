/* contexts/places.c - the segments that name where code runs. See places.h.
 *
 * Must never know: what is current, where events come from. */
#include "contexts/places.h"

#include "contexts/chain.h"
#include "contexts/running_tests.h"
#include "cpython/imported_modules.h"

/* Call a function of an imported module. Its result, or NULL without an exception. */
static PyObject *
call_imported(const char *module, const char *function, PyObject *argument)
{
    PyObject *callable = imported_module_item(module, function); /* owned */
    PyObject *result =
        callable != NULL ? PyObject_CallFunctionObjArgs(callable, argument, NULL) : NULL;
    Py_XDECREF(callable);
    PyErr_Clear();
    return result;
}

/* The name of the running asyncio task; NULL without an exception: none runs. */
static PyObject *
task_name(void)
{
    PyObject *loop = call_imported("_asyncio", "_get_running_loop", NULL); /* owned */
    PyObject *task = NULL, *name = NULL;                                   /* owned */
    if (loop != NULL && loop != Py_None) {
        task = call_imported(COMPAT_CURRENT_TASK_MODULE, "current_task", loop);
        if (task != NULL && task != Py_None) {
            name = PyObject_CallMethod(task, "get_name", NULL);
        }
    }
    Py_XDECREF(loop);
    Py_XDECREF(task);
    if (name != NULL && !PyUnicode_Check(name)) {
        Py_CLEAR(name);
    }
    PyErr_Clear();
    return name;
}

/* The name of the running greenlet, or a number; NULL without an exception: it is the main greenlet
 * of its thread. */
static PyObject *
greenlet_name(contexts *self)
{
    PyObject *current = call_imported("greenlet._greenlet", "getcurrent", NULL); /* owned */
    PyObject *parent =
        current != NULL ? PyObject_GetAttrString(current, "parent") : NULL; /* owned */
    PyObject *name = NULL;
    if (parent != NULL && parent != Py_None) {
        name = PyObject_GetAttrString(current, "name");
        if (name == NULL || !PyUnicode_Check(name) || PyUnicode_GET_LENGTH(name) == 0) {
            PyErr_Clear();
            Py_XSETREF(name, PyUnicode_FromFormat("greenlet-%u", ++self->greenlets));
        }
    }
    Py_XDECREF(current);
    Py_XDECREF(parent);
    PyErr_Clear();
    return name;
}

/* `segments` (stolen) with a segment of that kind and name instead of another one; name NULL:
 * without one. New reference, or NULL with an exception set. */
static PyObject *
with_place(PyObject *segments, segment_kind kind, PyObject *name)
{
    PyObject *now = segments_find(segments, kind); /* borrowed */
    if (name == NULL) {
        if (now == NULL) {
            return segments;
        }
        PyObject *result = segments_edit(segments, KIND_BIT(kind), NULL, NULL);
        Py_DECREF(segments);
        return result;
    }
    PyObject *result = NULL;
    PyObject *segment = segment_new(kind, name); /* owned */
    if (segment != NULL) {
        int same = now == NULL ? 0 : PyObject_RichCompareBool(now, segment, Py_EQ);
        if (same == 1) {
            result = Py_NewRef(segments);
        } else if (same == 0) {
            result = segments_edit(segments, KIND_BIT(kind), NULL, segment);
        }
        Py_DECREF(segment);
    }
    Py_DECREF(segments);
    return result;
}

PyObject *
segments_for_location(contexts *self, PyObject *stored, PyObject *thread)
{
    PyObject *segments = Py_NewRef(stored);
    if (self->process != NULL && segments_find(segments, SEGMENT_PROCESS) != self->process) {
        Py_SETREF(segments,
                  segments_edit(segments, KIND_BIT(SEGMENT_PROCESS), NULL, self->process));
    }
    if (segments != NULL && (self->kinds & KIND_BIT(SEGMENT_THREAD)) != 0) {
        segments = with_place(segments, SEGMENT_THREAD, thread);
    }
    if (segments != NULL && (self->kinds & KIND_BIT(SEGMENT_GREENLET)) != 0 &&
        segments_find(segments, SEGMENT_GREENLET) == NULL) {
        PyObject *name = greenlet_name(self); /* owned */
        segments = with_place(segments, SEGMENT_GREENLET, name);
        Py_XDECREF(name);
    }
    if (segments != NULL && (self->kinds & KIND_BIT(SEGMENT_TASK)) != 0) {
        PyObject *name = task_name(); /* owned */
        segments = with_place(segments, SEGMENT_TASK, name);
        Py_XDECREF(name);
    }
    return segments_with_tests(self, segments);
}
