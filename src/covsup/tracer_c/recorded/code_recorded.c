/* recorded/code_recorded.c - what a code object has told in the context that it runs in, under
 * sys.monitoring.
 *
 * Threads: see recorded/code_recorded.h.
 * Must never know: the layout of the journal. */
#include "recorded/code_recorded.h"

#if COMPAT_MONITORING

#include <stdlib.h>

#include "analysis/bytecode.h"
#include "cpython/imported_modules.h"
#include "settrace/target_tracer.h"

/* After so many events without news a code object sleeps: waking it costs about as much as some
 * tens of events. */
enum { REPEATS_BEFORE_DORMANT = 256 };

/* Deeper in calls than this, nobody looks whether a frame is the only one. */
enum { MAX_DEPTH = 500 };

void
code_recorded_make(core *self, code_state *state)
{
    enum { MAX_LINES = 1 << 16 };
    int first = 0, last = 0;
    code_line_range(state->code, &first, &last);
    if (first <= 0 || last - first >= MAX_LINES) {
        return;
    }
    int words = (last - first) / 32 + 1;
    struct code_recorded *here = calloc(1, sizeof(*here) + (size_t)words * sizeof(here->words[0]));
    if (here == NULL) {
        return;
    }
    const int resumable = CO_GENERATOR | CO_COROUTINE | CO_ASYNC_GENERATOR;
    here->first_line = first;
    here->n_words = words;
    here->body_line = code_first_line(state->code);
    here->never_dormant = state->file == NULL || state->roles != 0 ||
                          (state->code->co_flags & resumable) != 0 || here->body_line == 0 ||
                          code_resume_line(state->code) != 0;
    pthread_mutex_lock(&self->lock);
    if (state->here == NULL) {
        state->here = here;
        here = NULL;
    }
    pthread_mutex_unlock(&self->lock);
    free(here);
}

/* Is the frame that runs here the only one of `code`, and the target uses no tools of its own,
 * whose events ours would have to be kept apart from? */
static bool
is_only_frame(core *self, PyCodeObject *code)
{
    PyThreadState *first = PyInterpreterState_ThreadHead(PyInterpreterState_Get());
    if (self->others || first == NULL || PyThreadState_Next(first) != NULL ||
        target_tracer_is_tracing(self)) {
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
code_recorded_note_repeat(core *self, code_state *state, uint32_t id)
{
    struct code_recorded *here = state->here;
    if (here == NULL || here->never_dormant || state->dormant) {
        return;
    }
    if (here->in != id) {
        here->in = id;
        here->repeats = 0;
    }
    if (++here->repeats < REPEATS_BEFORE_DORMANT) {
        return;
    }
    here->repeats = 0;
    if (is_only_frame(self, state->code)) {
        pthread_mutex_lock(&self->lock);
        state->dormant = true;
        state->next_dormant = self->dormant;
        self->dormant = state;
        pthread_mutex_unlock(&self->lock);
    }
}

int
monitoring_wake_code(core *self, code_state *state)
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
    PyObject *code = Py_NewRef((PyObject *)state->code); /* so does the state live */
    int rc = monitoring_restart_code(self, state);
    Py_DECREF(code);
    return rc;
}

#endif
