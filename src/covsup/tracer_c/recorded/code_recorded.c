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
enum { MOST_WASTED = 256 };

/* Deeper in calls than this, nobody looks whether a frame is the only one. */
enum { MOST_DEPTH = 500 };

void
told_here_make(core *self, code_state *state)
{
    enum { MOST_LINES = 1 << 16 };
    int first = 0, last = 0;
    flow_line_range(state->code, &first, &last);
    if (first <= 0 || last - first >= MOST_LINES) {
        return;
    }
    int words = (last - first) / 32 + 1;
    struct told_here *here = calloc(1, sizeof(*here) + (size_t)words * sizeof(here->words[0]));
    if (here == NULL) {
        return;
    }
    const int resumable = CO_GENERATOR | CO_COROUTINE | CO_ASYNC_GENERATOR;
    here->first_line = first;
    here->n_words = words;
    here->body_line = flow_first_line(state->code);
    here->never_sleeps = state->file == NULL || state->roles != 0 ||
                         (state->code->co_flags & resumable) != 0 || here->body_line == 0 ||
                         flow_resume_line(state->code) != 0;
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
is_alone(core *self, PyCodeObject *code)
{
    PyThreadState *first = PyInterpreterState_ThreadHead(PyInterpreterState_Get());
    if (self->others || first == NULL || PyThreadState_Next(first) != NULL ||
        user_tracer_is_tracing(self)) {
        return false;
    }
    PyObject *name = PyUnicode_InternFromString("greenlet._greenlet"); /* owned */
    PyObject *greenlets = name != NULL ? module_imported(name) : NULL; /* owned */
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
        PyFrameObject *back = ++depth < MOST_DEPTH ? PyFrame_GetBack(frame) : NULL;
        alone = alone && depth < MOST_DEPTH;
        Py_SETREF(frame, back);
    }
    return alone && frames == 1;
}

void
told_here_waste(core *self, code_state *state, uint32_t id)
{
    struct told_here *here = state->here;
    if (here == NULL || here->never_sleeps || state->asleep) {
        return;
    }
    if (here->in != id) {
        here->in = id;
        here->wasted = 0;
    }
    if (++here->wasted < MOST_WASTED) {
        return;
    }
    here->wasted = 0;
    if (is_alone(self, state->code)) {
        pthread_mutex_lock(&self->lock);
        state->asleep = true;
        state->next_asleep = self->asleep;
        self->asleep = state;
        pthread_mutex_unlock(&self->lock);
    }
}

int
told_here_wake(core *self, code_state *state)
{
    pthread_mutex_lock(&self->lock);
    code_state **link = &self->asleep;
    while (*link != NULL && *link != state) {
        link = &(*link)->next_asleep;
    }
    if (*link != NULL) {
        *link = state->next_asleep;
    }
    state->asleep = false;
    state->next_asleep = NULL;
    pthread_mutex_unlock(&self->lock);
    if (!state->muted) {
        return 0;
    }
    PyObject *code = Py_NewRef((PyObject *)state->code); /* so does the state live */
    int rc = monitoring_restart(self, state);
    Py_DECREF(code);
    return rc;
}

#endif
