/* contexts/current.c - the current context, and its way to new threads, tasks and processes.
 *
 * The value of the context variable is a chain (chain.h). None means "no context" where the thread
 * or the interpreter has a chain.
 *
 * Threads: with an attached thread state. `cached` and `started_with` belong to one thread.
 * Must never know: where events come from, what is recorded. */
#include "contexts/current.h"

#include <stdlib.h>

#include "contexts/chain.h"
#include "contexts/places.h"
#include "contexts/running_tests.h"

/* The result of the last look; valid while the thread's context variables stay the same. */
static _Thread_local struct {
    contexts *owner;
    uint64_t thread, version;
    uint32_t epoch;
    context_recorded *recorded;
} cached;

/* From contexts_thread_start(). */
static _Thread_local struct {
    contexts *owner;
    PyObject *chain; /* owned, or NULL */
    PyObject *name;  /* owned, or NULL */
} started_with;

PyObject *
contexts_stored_chain(contexts *self)
{
    PyObject *value = NULL;
    if (PyContextVar_Get(self->var, NULL, &value) < 0) {
        PyErr_Clear();
        return NULL;
    }
    if (value != NULL) {
        Py_DECREF(value); /* the contextvars.Context still holds it */
        return chain_is(self, value) ? value : NULL;
    }
    return started_with.owner == self ? started_with.chain : self->root;
}

/* The name of this thread in labels; borrowed, or NULL: it has none. */
static PyObject *
thread_name(contexts *self)
{
    if (started_with.owner == self && started_with.name != NULL) {
        return started_with.name;
    }
    return PyThread_get_thread_ident() == self->thread ? self->main_name : NULL;
}

PyObject *
contexts_segments(contexts *self)
{
    PyObject *chain = contexts_stored_chain(self);
    PyObject *stored =
        chain != NULL ? Py_NewRef(chain_segments(chain)) : PyTuple_New(0); /* owned */
    PyObject *segments =
        stored != NULL ? segments_for_location(self, stored, thread_name(self)) : NULL;
    Py_XDECREF(stored);
    return segments;
}

/* Set the variable. The cache is dropped here because PyThreadState.context_ver does not change.
 * The token (owned), or NULL with an exception set. */
static PyObject *
set_chain(contexts *self, PyObject *chain)
{
    cached.owner = NULL;
    return contexts_before_change(self->owner) < 0 ? NULL : PyContextVar_Set(self->var, chain);
}

int
contexts_reset(contexts *self, PyObject *token)
{
    cached.owner = NULL;
    if (contexts_before_change(self->owner) < 0) {
        PyErr_Clear(); /* no memory: the context must change even so */
    }
    return PyContextVar_Reset(self->var, token);
}

PyObject *
contexts_set_segments(contexts *self, PyObject *segments)
{
    PyObject *chain =
        PyTuple_GET_SIZE(segments) > 0 ? chain_new(self, segments) : Py_NewRef(Py_None);
    PyObject *token = chain != NULL ? set_chain(self, chain) : NULL;
    Py_XDECREF(chain);
    return token;
}

/* The current chain, after the segments of places and tests were corrected. Borrowed, or NULL
 * without an exception. Use it before any Python can run. */
static PyObject *
current_chain(contexts *self)
{
    PyObject *chain = contexts_stored_chain(self);
    if (self->kinds == 0 && self->running == NULL) {
        return chain;
    }
    bool has_chain = chain != NULL;
    PyObject *stored = has_chain ? Py_NewRef(chain_segments(chain)) : PyTuple_New(0); /* owned */
    PyObject *segments =
        stored != NULL ? segments_for_location(self, stored, thread_name(self)) : NULL; /* owned */
    if (segments != NULL && segments != stored && (PyTuple_GET_SIZE(segments) > 0 || has_chain)) {
        Py_XDECREF(contexts_set_segments(self, segments));
    }
    Py_XDECREF(stored);
    Py_XDECREF(segments);
    PyErr_Clear(); /* no memory: the label stays as it was */
    /* Look again: the name of a task or greenlet may come from Python code, which can change all.
     */
    return contexts_stored_chain(self);
}

context_recorded *
contexts_current(core *owner)
{
    contexts *self = owner->contexts;
    PyThreadState *thread = PyThreadState_Get();
    if (cached.owner == self && cached.thread == thread->id &&
        cached.version == thread->context_ver && cached.epoch == self->epoch) {
        return cached.recorded;
    }
    PyObject *chain = current_chain(self);
    cached.owner = self;
    cached.thread = thread->id;
    cached.version = thread->context_ver;
    cached.epoch = self->epoch;
    cached.recorded = chain != NULL ? chain_recorded(chain) : NULL;
    return cached.recorded;
}

PyObject *
contexts_inherited(core *owner)
{
    if (!owner->records_contexts) {
        return NULL;
    }
    return Py_XNewRef(current_chain(owner->contexts));
}

PyObject *
contexts_inherited_without(core *owner, unsigned kinds)
{
    PyObject *chain = contexts_inherited(owner);
    if (chain == NULL) {
        return NULL;
    }
    PyObject *segments = chain_segments(chain);
    bool any = false;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(segments); i++) {
        any = any || (kinds & KIND_BIT(segment_kind_of(PyTuple_GET_ITEM(segments, i)))) != 0;
    }
    if (!any) {
        return chain;
    }
    PyObject *left = segments_edit(segments, kinds, NULL, NULL); /* owned */
    if (left != NULL && PyTuple_GET_SIZE(left) == 0) {
        Py_CLEAR(chain);
    } else if (left != NULL) {
        Py_SETREF(chain, chain_new(owner->contexts, left));
    }
    Py_XDECREF(left);
    PyErr_Clear();
    return chain;
}

int
contexts_enable(contexts *self)
{
    if (self->owner->records_contexts) {
        return 0;
    }
    self->owner->records_contexts = true;
    /* A line that is recorded in one context is new in another. */
    core *owner = self->owner;
    core_require_all_frames(owner);
    return owner->on_contexts_enabled != NULL ? owner->on_contexts_enabled(owner) : 0;
}

PyObject *
contexts_enter(core *owner, PyObject *chain)
{
    return set_chain(owner->contexts, chain != NULL ? chain : Py_None);
}

PyObject *
contexts_push(core *owner, segment_kind kind, PyObject *text, bool suspendable)
{
    contexts *self = owner->contexts;
    const bool is_test = kind == SEGMENT_TEST_FUNCTION;
    const unsigned without = is_test ? KIND_BIT(kind) | KIND_BIT(SEGMENT_ADOPTED_TEST_FUNCTION) : 0;
    PyObject *token = NULL, *segment = NULL, *more = NULL; /* owned */
    PyObject *segments = contexts_segments(self);          /* owned */
    if (segments != NULL) {
        segment = suspendable ? segment_new_suspendable(kind, text) : segment_new(kind, text);
    }
    if (segment == NULL || (more = segments_edit(segments, without, NULL, segment)) == NULL ||
        contexts_enable(self) < 0 || (is_test && test_start(self, segment) < 0)) {
        goto done;
    }
    token = contexts_set_segments(self, more);
    if (token != NULL && is_test) {
        Py_SETREF(token, PyTuple_Pack(2, token, segment));
    }
    if (token == NULL) {
        test_end(self, segment);
    }
done:
    Py_XDECREF(segments);
    Py_XDECREF(segment);
    Py_XDECREF(more);
    return token;
}

void
contexts_leave(core *owner, PyObject *entered)
{
    PyObject *token = entered;
    if (PyTuple_Check(entered)) {
        token = PyTuple_GET_ITEM(entered, 0);
        test_end(owner->contexts, PyTuple_GET_ITEM(entered, 1));
    }
    if (contexts_reset(owner->contexts, token) < 0) {
        PyErr_Clear(); /* this is another contextvars.Context than it was entered in */
    }
    Py_DECREF(entered);
}

bool
contexts_kind_enabled(const core *owner, segment_kind kind)
{
    return owner->contexts != NULL && (owner->contexts->kinds & KIND_BIT(kind)) != 0;
}

bool
contexts_has_segment(core *owner, segment_kind kind)
{
    PyObject *chain = contexts_stored_chain(owner->contexts);
    PyObject *segment = chain != NULL ? segments_find(chain_segments(chain), kind) : NULL;
    return segment != NULL &&
           (kind != SEGMENT_TEST_FUNCTION || test_is_running(owner->contexts, segment));
}

PyObject *
contexts_work_chains(core *owner)
{
    return owner->contexts->work;
}

PyObject *
contexts_entered_frames(core *owner)
{
    return owner->contexts->entered;
}

bool
contexts_in_other_thread(core *owner)
{
    return PyThread_get_thread_ident() != owner->contexts->thread;
}

PyObject *
contexts_new_context_with(core *owner, PyObject *chain)
{
    PyObject *context = PyContext_New(); /* owned */
    if (context == NULL || PyContext_Enter(context) < 0) {
        Py_XDECREF(context);
        return NULL;
    }
    PyObject *token = set_chain(owner->contexts, chain); /* owned */
    if (PyContext_Exit(context) < 0 || token == NULL) {
        Py_CLEAR(context);
    }
    Py_XDECREF(token);
    return context;
}

void
contexts_thread_start(core *owner, PyObject *chain, PyObject *name)
{
    started_with.owner = owner->contexts;
    started_with.chain = Py_XNewRef(chain);
    started_with.name = Py_XNewRef(name);
    cached.owner = NULL;
}

void
contexts_thread_end(void)
{
    cached.owner = NULL;
    started_with.owner = NULL;
    Py_CLEAR(started_with.chain);
    Py_CLEAR(started_with.name);
}

const char *
contexts_environ_value(core *owner, PyObject **holder)
{
    const unsigned places = KIND_BIT(SEGMENT_PROCESS) | KIND_BIT(SEGMENT_THREAD) |
                            KIND_BIT(SEGMENT_GREENLET) | KIND_BIT(SEGMENT_TASK);
    PyObject *chain = contexts_inherited(owner); /* owned */
    const char *text = NULL;
    *holder = NULL;
    if (chain != NULL) {
        *holder = segments_label(owner->contexts, chain_segments(chain), places);
        text = *holder != NULL ? PyUnicode_AsUTF8(*holder) : NULL;
        Py_DECREF(chain);
    }
    PyErr_Clear();
    return text != NULL && *text != '\0' ? text : NULL;
}

static int
set_process(contexts *self)
{
    PyObject *text = PyUnicode_FromFormat("process-%ld", (long)getpid());         /* owned */
    PyObject *segment = text != NULL ? segment_new(SEGMENT_PROCESS, text) : NULL; /* owned */
    Py_XDECREF(text);
    if (segment == NULL) {
        return -1;
    }
    Py_XSETREF(self->process, segment);
    return 0;
}

void
contexts_after_fork(core *owner)
{
    contexts *self = owner->contexts;
    if (self == NULL) {
        return;
    }
    self->thread = PyThread_get_thread_ident();
    if ((self->kinds & KIND_BIT(SEGMENT_PROCESS)) != 0 && set_process(self) < 0) {
        PyErr_Clear(); /* no memory: it keeps its parent's label */
    }
    if (contexts_before_change(owner) < 0) {
        PyErr_Clear(); /* no memory: disabled events stay disabled */
    }
    self->epoch++;
}

int
contexts_start(core *owner, unsigned kinds, PyObject *inherited)
{
    PyObject *segments = NULL; /* owned */
    int rc = -1;
    contexts *self = calloc(1, sizeof(*self));
    if (self == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    self->owner = owner;
    self->kinds = kinds;
    self->thread = PyThread_get_thread_ident();
    if ((self->var = PyContextVar_New("covsup", NULL)) == NULL ||
        (self->type = chain_type()) == NULL || (self->records = PyDict_New()) == NULL ||
        (self->separator = PyUnicode_FromString("|")) == NULL ||
        (self->work = PyDict_New()) == NULL || (self->entered = PyDict_New()) == NULL ||
        (self->main_name = PyUnicode_FromString("MainThread")) == NULL) {
        goto done;
    }
    if ((kinds & KIND_BIT(SEGMENT_PROCESS)) != 0 && set_process(self) < 0) {
        goto done;
    }
    if (PyUnicode_GET_LENGTH(inherited) > 0) {
        self->inherited = segment_new(SEGMENT_INHERITED, inherited);
        if (self->inherited == NULL || (segments = PyTuple_Pack(1, self->inherited)) == NULL ||
            (self->root = chain_new(self, segments)) == NULL) {
            goto done;
        }
    }
    owner->contexts = self;
    owner->records_contexts = kinds != 0 || self->root != NULL;
    rc = 0;
done:
    Py_XDECREF(segments);
    return rc;
}
