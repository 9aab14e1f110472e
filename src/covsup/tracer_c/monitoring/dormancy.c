/* monitoring/dormancy.c - code objects whose events stay disabled as long as the context stays.
 *
 * Threads, Must never know: see monitoring/dormancy.h. */
#include "monitoring/dormancy.h"

#if COMPAT_MONITORING

#include "cpython/imported_modules.h"
#include "monitoring/tool.h"
#include "recorded/code_recorded.h"
#include "settrace/thread_trace.h"

/* Waking a code object costs about as much as some tens of events. */
enum { REPEATS_BEFORE_DORMANT = 256 };

/* With deeper stacks the search for other frames of the code would cost too much. */
enum { MAX_DEPTH = 500 };

/* Does the running frame alone run `code`? No, also, where the target has tools or trace functions,
 * from whose events ours would have to be kept apart. */
static bool
is_only_frame(core *self, PyCodeObject *code)
{
    PyThreadState *first = PyInterpreterState_ThreadHead(PyInterpreterState_Get());
    if (self->target_uses_tools || first == NULL || PyThreadState_Next(first) != NULL ||
        thread_trace_is_active(self)) {
        return false;
    }
    PyObject *name = PyUnicode_InternFromString("greenlet._greenlet"); /* owned */
    PyObject *greenlets = name != NULL ? imported_module(name) : NULL; /* owned */
    bool alone = name != NULL && greenlets == NULL;
    Py_XDECREF(name);
    Py_XDECREF(greenlets);
    PyErr_Clear();
    int frames = 0, depth = 0;
    PyFrameObject *frame = alone ? PyEval_GetFrame() : NULL; /* owned from here on */
    Py_XINCREF(frame);
    while (frame != NULL) {
        PyCodeObject *its = PyFrame_GetCode(frame); /* owned */
        frames += its == code;
        Py_DECREF(its);
        PyFrameObject *back = ++depth < MAX_DEPTH ? PyFrame_GetBack(frame) : NULL;
        alone = alone && depth < MAX_DEPTH;
        Py_SETREF(frame, back);
    }
    return alone && frames == 1;
}

void
dormancy_note_repeat(core *self, code_state *state, uint32_t context_id)
{
    struct code_recorded *recorded = state->recorded;
    if (recorded == NULL || recorded->never_dormant || state->dormant) {
        return;
    }
    if (recorded->context_id != context_id) {
        recorded->context_id = context_id;
        recorded->repeats = 0;
    }
    if (++recorded->repeats < REPEATS_BEFORE_DORMANT) {
        return;
    }
    recorded->repeats = 0;
    if (is_only_frame(self, state->code)) {
        pthread_mutex_lock(&self->lock);
        state->dormant = true;
        state->next_dormant = self->dormant;
        self->dormant = state;
        pthread_mutex_unlock(&self->lock);
    }
}

int
dormancy_end(core *self, code_state *state)
{
    pthread_mutex_lock(&self->lock);
    code_state **link = &self->dormant;
    while (*link != NULL && *link != state) {
        link = &(*link)->next_dormant;
    }
    if (*link != NULL) {
        *link = state->next_dormant;
    }
    state->dormant = false;
    state->next_dormant = NULL;
    pthread_mutex_unlock(&self->lock);
    if (!state->events_disabled) {
        return 0;
    }
    PyObject *code = Py_NewRef((PyObject *)state->code); /* owned: it keeps the state alive */
    int rc = monitoring_restart_code(self, state);
    Py_DECREF(code);
    return rc;
}

int
dormancy_end_all(core *self)
{
    while (self->dormant != NULL) {
        if (dormancy_end(self, self->dormant) < 0) {
            return -1;
        }
    }
    return 0;
}

#endif
