/* contexts/places.c - the segments that name where code runs: process, thread, greenlet, task.
 *
 * Threads: with an attached thread state.
 * Must never know: what is current, where events come from. */
#include "contexts/state.h"

#include "cpython/imported_modules.h"

/* The result of a function of a module that is imported, or NULL without an exception. */
static PyObject *
ask(const char *module, const char *function, PyObject *argument)
{
    PyObject *asked = imported_module_item(module, function); /* owned */
    PyObject *result = asked != NULL ? PyObject_CallFunctionObjArgs(asked, argument, NULL) : NULL;
    Py_XDECREF(asked);
    PyErr_Clear();
    return result;
}

/* The name of the task that runs; NULL without an exception where none does. */
static PyObject *
task_name(void)
{
    PyObject *loop = ask("_asyncio", "_get_running_loop", NULL); /* owned */
    PyObject *task = NULL, *name = NULL;                         /* owned */
    if (loop != NULL && loop != Py_None) {
        task = ask(COMPAT_CURRENT_TASK_MODULE, "current_task", loop);
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

/* The name of the greenlet that runs: its own, or a number; NULL where it is a thread's first. */
static PyObject *
greenlet_name(contexts *self)
{
    PyObject *current = ask("greenlet._greenlet", "getcurrent", NULL); /* owned */
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

/* `segments` (stolen) with this segment of a place, where it says another; NULL: exception set. */
static PyObject *
placed(PyObject *segments, segment_kind kind, PyObject *name)
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
segments_for_location(contexts *self, PyObject *found)
{
    PyObject *segments = Py_NewRef(found);
    if (self->process != NULL && segments_find(segments, SEGMENT_PROCESS) != self->process) {
        Py_SETREF(segments,
                  segments_edit(segments, KIND_BIT(SEGMENT_PROCESS), NULL, self->process));
    }
    if (segments != NULL && (self->kinds & KIND_BIT(SEGMENT_THREAD)) != 0) {
        segments = placed(segments, SEGMENT_THREAD, contexts_thread_name(self));
    }
    if (segments != NULL && (self->kinds & KIND_BIT(SEGMENT_GREENLET)) != 0 &&
        segments_find(segments, SEGMENT_GREENLET) == NULL) {
        PyObject *name = greenlet_name(self); /* owned */
        segments = placed(segments, SEGMENT_GREENLET, name);
        Py_XDECREF(name);
    }
    if (segments != NULL && (self->kinds & KIND_BIT(SEGMENT_TASK)) != 0) {
        PyObject *name = task_name(); /* owned */
        segments = placed(segments, SEGMENT_TASK, name);
        Py_XDECREF(name);
    }
    return segments_with_tests(self, segments);
}
