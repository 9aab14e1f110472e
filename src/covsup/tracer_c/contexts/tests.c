/* contexts/tests.c - the segments of tests: a flow's own while that test runs, then the process's.
 *
 * What a test starts belongs to it. But a server, a worker or an event loop often outlives the test
 * that started it, and serves the next one. So a flow whose test has ended, or that never had one,
 * takes the test that runs in the process. coverage.py has one context for the whole process.
 *
 * Threads: with an attached thread state; what an interpreter has is its own.
 * Must never know: where events come from, what they tell. */
#include "contexts/state.h"

static const struct {
    segment_kind own, taken;
} kinds[] = {
    {SEGMENT_TEST, SEGMENT_ADOPTED_TEST},
    {SEGMENT_TEST_FUNCTION, SEGMENT_ADOPTED_TEST_FUNCTION},
};

enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };

static Py_ssize_t
position(contexts *self, PyObject *segment)
{
    Py_ssize_t at = self->running != NULL ? PyList_GET_SIZE(self->running) : 0;
    while (--at >= 0 && PyList_GET_ITEM(self->running, at) != segment) {
    }
    return at;
}

bool
test_is_running(contexts *self, PyObject *segment)
{
    return segment_is_suspendable(segment) || position(self, segment) >= 0;
}

int
test_start(contexts *self, PyObject *segment)
{
    if (self->running == NULL && (self->running = PyList_New(0)) == NULL) {
        return -1;
    }
    if (contexts_before_change(self->owner) < 0) {
        return -1;
    }
    self->epoch++;
    return PyList_Append(self->running, segment);
}

void
test_end(contexts *self, PyObject *segment)
{
    Py_ssize_t at = position(self, segment);
    if (at < 0) {
        return;
    }
    if (PyList_SetSlice(self->running, at, at + 1, NULL) < 0 ||
        contexts_before_change(self->owner) < 0) {
        PyErr_Clear(); /* no memory: other flows may keep this label */
    }
    self->epoch++;
}

/* The test that began last of those that run; borrowed, or NULL. */
static PyObject *
current_test(contexts *self, segment_kind own)
{
    for (Py_ssize_t at = PyList_GET_SIZE(self->running); --at >= 0;) {
        PyObject *segment = PyList_GET_ITEM(self->running, at);
        if (segment_kind_of(segment) == own) {
            return segment;
        }
    }
    return NULL;
}

/* `segments` without what is of these kinds, but with `own` if it is there, and else with `taken`
 * (NULL: nothing) in the place of the first, or at the end. New reference, or NULL: exception. */
static PyObject *
with_test(PyObject *segments, int which, PyObject *own, PyObject *taken)
{
    PyObject *result = NULL;
    PyObject *list = PyList_New(0); /* owned */
    bool placed = own != NULL || taken == NULL;
    for (Py_ssize_t i = 0; list != NULL && i < PyTuple_GET_SIZE(segments); i++) {
        PyObject *segment = PyTuple_GET_ITEM(segments, i);
        segment_kind kind = segment_kind_of(segment);
        if (segment != own && (kind == kinds[which].own || kind == kinds[which].taken)) {
            segment = placed ? NULL : taken;
            placed = true;
        }
        if (segment != NULL && PyList_Append(list, segment) < 0) {
            Py_CLEAR(list);
        }
    }
    if (list != NULL && (placed || PyList_Append(list, taken) == 0)) {
        result = PyList_AsTuple(list);
    }
    Py_XDECREF(list);
    return result;
}

/* The segments (owned, or NULL: exception set) with the test of one kind that they belong to;
 * steals `segments`. */
static PyObject *
settled(contexts *self, PyObject *segments, int which)
{
    PyObject *own = segments_find(segments, kinds[which].own);     /* borrowed */
    PyObject *taken = segments_find(segments, kinds[which].taken); /* borrowed */
    PyObject *now = NULL;                                          /* borrowed */
    if (own == NULL || !test_is_running(self, own)) {
        now = current_test(self, kinds[which].own);
        if (own == NULL && (now == NULL ? taken == NULL
                                        : taken != NULL && PyTuple_GET_ITEM(taken, 1) ==
                                                               PyTuple_GET_ITEM(now, 1))) {
            return segments;
        }
        own = NULL;
    } else if (taken == NULL) {
        return segments;
    }
    PyObject *takes = NULL; /* owned */
    PyObject *result = NULL;
    if (now == NULL ||
        (takes = Py_BuildValue("(iO)", (int)kinds[which].taken, PyTuple_GET_ITEM(now, 1)))) {
        result = with_test(segments, which, own, takes);
    }
    Py_XDECREF(takes);
    Py_DECREF(segments);
    return result;
}

PyObject *
segments_with_tests(contexts *self, PyObject *segments)
{
    for (int which = 0; which < KINDS && segments != NULL && self->running != NULL; which++) {
        segments = settled(self, segments, which);
    }
    return segments;
}
