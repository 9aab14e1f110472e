/* core/code_state.c - what is known of one code object; attached to it and freed with it.
 *
 * Threads: see core/code_state.h. A state is attached once; where two threads race for one code
 * object, the loser's state is thrown away.
 * Must never know: adapters, the layout of the journal. */
#include "core/code_state.h"

#include <stdlib.h>

#include "analysis/branch_table.h"
#include "analysis/reachable.h"

static code_state *
state_on(core *self, PyCodeObject *code)
{
    void *extra = NULL;
    if (compat_get_code_extra((PyObject *)code, self->extra_index, &extra) < 0) {
        PyErr_Clear(); /* `code` is no code object; no event has such an argument */
    }
    return extra;
}

/* Put a hidden state back, with the lock held. NULL: there is none. */
static code_state *
show_state(core *self, PyCodeObject *code)
{
    code_state *before = NULL, *state = atomic_load(&self->hidden);
    while (state != NULL && state->code != code) {
        before = state;
        state = state->next_hidden;
    }
    if (state == NULL) {
        return NULL;
    }
    /* Others may have put data there meanwhile. Theirs stays, ours goes beside it, and the old
     * memory is leaked, because another thread may still be reading it. */
    if (!compat_put_code_extras((PyObject *)code, state->hidden_extras) &&
        compat_set_code_extra((PyObject *)code, self->extra_index, state) < 0) {
        PyErr_Clear();
        return state; /* no memory: it stays hidden, and is found in the list */
    }
    if (before != NULL) {
        before->next_hidden = state->next_hidden;
    } else {
        atomic_store(&self->hidden, state->next_hidden);
    }
    state->next_hidden = NULL;
    state->hidden_extras = NULL;
    return state;
}

code_state *
code_state_of(core *self, PyCodeObject *code)
{
    code_state *state = state_on(self, code);
    if (state == NULL && atomic_load_explicit(&self->hidden, memory_order_relaxed) != NULL) {
        pthread_mutex_lock(&self->lock);
        state = show_state(self, code);
        pthread_mutex_unlock(&self->lock);
    }
    return state;
}

bool
code_state_hide(core *self, PyCodeObject *code)
{
    pthread_mutex_lock(&self->lock);
    code_state *state = state_on(self, code);
    void *extras =
        state != NULL ? compat_take_code_extras((PyObject *)code, self->extra_index) : NULL;
    if (extras != NULL) {
        state->hidden_extras = extras;
        state->next_hidden = atomic_load(&self->hidden);
        atomic_store(&self->hidden, state);
    }
    pthread_mutex_unlock(&self->lock);
    return extras != NULL;
}

void
code_state_show(core *self, PyCodeObject *code)
{
    pthread_mutex_lock(&self->lock);
    (void)show_state(self, code);
    pthread_mutex_unlock(&self->lock);
}

/* CPython calls this when a code object dies. */
static void
release_state(void *extra)
{
    code_state *state = extra;
    if (state == NULL) {
        return;
    }
    core *owner = state->owner;
    pthread_mutex_lock(&owner->lock);
    if (state->previous != NULL) {
        state->previous->next = state->next;
    } else if (owner->states == state) {
        owner->states = state->next;
    }
    if (state->next != NULL) {
        state->next->previous = state->previous;
    }
    code_state **link = &owner->dormant;
    while (state->dormant && *link != NULL && *link != state) {
        link = &(*link)->next_dormant;
    }
    if (state->dormant && *link != NULL) {
        *link = state->next_dormant;
    }
    pthread_mutex_unlock(&owner->lock);
#if COMPAT_MONITORING
    branch_table_free(state->branches);
    free(state->recorded);
#else
    reachable_free(state->reachable);
#endif
    free(state->seen);
    free(state->last_origin);
    Py_XDECREF(state->resumable);
    free(state);
}

code_state *
code_state_add(core *self, PyCodeObject *code, file_disposition disposition)
{
    code_state *state = calloc(1, sizeof(*state));
    if (state == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    state->owner = self;
    state->code = code;
    state->file = disposition.file;
    state->claim = disposition.claim;
    pthread_mutex_lock(&self->lock);
    code_state *attached = state_on(self, code);
    if (attached == NULL) {
        attached = show_state(self, code);
    }
    if (attached == NULL &&
        compat_set_code_extra((PyObject *)code, self->extra_index, state) == 0) {
        state->next = self->states;
        if (self->states != NULL) {
            self->states->previous = state;
        }
        self->states = state;
        attached = state;
    }
    pthread_mutex_unlock(&self->lock);
    if (attached != state) {
        free(state);
    }
    return attached;
}

int
code_state_reserve(core *self)
{
    self->extra_index = compat_request_code_extra(release_state);
    if (self->extra_index < 0) {
        PyErr_SetString(PyExc_RuntimeError, "no place is left for data about code objects");
        return -1;
    }
    return 0;
}
