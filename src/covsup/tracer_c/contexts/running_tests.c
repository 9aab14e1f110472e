/* contexts/running_tests.c - the segment of the test that code belongs to. See running_tests.h.
 *
 * Code that a test starts belongs to that test. But a server, a worker or an event loop often
 * outlives the test that started it, and serves the next one. So code whose test has ended, or that
 * never had one, adopts the test that runs in the process. coverage.py, in contrast, has one
 * context for the whole process.
 *
 * Must never know: where events come from, what is recorded. */
#include "contexts/running_tests.h"

#include "contexts/chain.h"

static const struct {
    segment_kind own, adopted;
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
    PyObject *exception = compat_take_exception(); /* owned, until it is set again */
    if (PyList_SetSlice(self->running, at, at + 1, NULL) < 0 ||
        contexts_before_change(self->owner) < 0) {
        PyErr_Clear(); /* no memory: other code may keep this label */
    }
    self->epoch++;
    compat_restore_exception(exception);
}

/* The running test of that kind that started last; borrowed, or NULL. */
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

/* `segments` with only `own` of the two kinds, if it is not NULL; else with only `adopted` (NULL:
 * with none), in the place of the first of them, or at the end. New reference, or NULL with an
 * exception set. */
static PyObject *
with_test(PyObject *segments, int which, PyObject *own, PyObject *adopted)
{
    PyObject *result = NULL;
    PyObject *list = PyList_New(0); /* owned */
    bool placed = own != NULL || adopted == NULL;
    for (Py_ssize_t i = 0; list != NULL && i < PyTuple_GET_SIZE(segments); i++) {
        PyObject *segment = PyTuple_GET_ITEM(segments, i);
        segment_kind kind = segment_kind_of(segment);
        if (segment != own && (kind == kinds[which].own || kind == kinds[which].adopted)) {
            segment = placed ? NULL : adopted;
            placed = true;
        }
        if (segment != NULL && PyList_Append(list, segment) < 0) {
            Py_CLEAR(list);
        }
    }
    if (list != NULL && (placed || PyList_Append(list, adopted) == 0)) {
        result = PyList_AsTuple(list);
    }
    Py_XDECREF(list);
    return result;
}

/* The segments with the test of one kind that they belong to. Steals `segments`. New reference, or
 * NULL with an exception set. */
static PyObject *
with_current_test(contexts *self, PyObject *segments, int which)
{
    PyObject *own = segments_find(segments, kinds[which].own);         /* borrowed */
    PyObject *adopted = segments_find(segments, kinds[which].adopted); /* borrowed */
    PyObject *now = NULL;                                              /* borrowed */
    if (own == NULL || !test_is_running(self, own)) {
        now = current_test(self, kinds[which].own);
        if (own == NULL && (now == NULL ? adopted == NULL
                                        : adopted != NULL && PyTuple_GET_ITEM(adopted, 1) ==
                                                                 PyTuple_GET_ITEM(now, 1))) {
            return segments;
        }
        own = NULL;
    } else if (adopted == NULL) {
        return segments;
    }
    PyObject *takes = NULL; /* owned */
    PyObject *result = NULL;
    if (now != NULL) {
        /* Owned: to build a tuple may collect garbage, whose finalizers may end the test. */
        PyObject *text = Py_NewRef(PyTuple_GET_ITEM(now, 1));
        takes = Py_BuildValue("(iO)", (int)kinds[which].adopted, text);
        Py_DECREF(text);
    }
    if (now == NULL || takes != NULL) {
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
        segments = with_current_test(self, segments, which);
    }
    return segments;
}
