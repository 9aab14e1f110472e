/* settrace/untraced_frames.c - frames that run without events, as their code has nothing left to
 * tell (3.11).
 *
 * `use_tracing` of the C frame decides; each frame that the evaluator is called for has a C frame
 * of its own, which inherits it from the caller's. After each call of a trace function the
 * interpreter sets it again, unless the thread has none: that is how a frame becomes quiet in its
 * middle (untraced_begin_frame). The thread's trace function is back before another frame runs.
 *
 * A frame evaluator makes calls between Python functions recurse in C. Where a thread has used up a
 * quarter of its C stack, all this ends, and calls need no C stack any more.
 *
 * Threads: with the GIL.
 * Must never know: what the trace function records. */
#if defined(__linux__)
#define _GNU_SOURCE /* pthread_getattr_np */
#endif
#define Py_BUILD_CORE_MODULE 1

#include "settrace/untraced_frames.h"

#if !COMPAT_MONITORING && defined(__linux__)

#include <internal/pycore_frame.h>

#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "analysis/reachable.h"
#include "settrace/target_tracer.h"

enum {
    ON = 255,
    PART_OF_STACK = 4,
    DEFAULT_STACK = 64 * 1024,
    MAX_STACK = 8 * 1024 * 1024,
};

static core *untraced_core; /* the one that it is on for; it is on for one interpreter at most */
static bool watching;       /* trace threads that C code creates, too */

/* A frame that is being evaluated. */
typedef struct evaluation {
    struct evaluation *caller;
    const _PyInterpreterFrame *frame;
    bool quiet;
    PyObject *trace; /* owned: what traced the thread when it began; NULL if not `watching` */
} evaluation;

static _Thread_local evaluation *innermost;

static _Thread_local char *deepest; /* how far down the C stack may go; NULL: not known yet */

static bool
has_our_trace(const core *self, const PyThreadState *thread)
{
    return thread->c_traceobj != NULL && Py_IS_TYPE(thread->c_traceobj, self->thread_trace_type);
}

/* Give the thread its trace function back. */
static void
wake(const core *self, PyThreadState *thread)
{
    if (thread->c_tracefunc == NULL && has_our_trace(self, thread)) {
        thread->c_tracefunc = self->tracefunc;
    }
}

static size_t
stack_size(void)
{
    size_t size = DEFAULT_STACK;
    if (syscall(SYS_gettid) == getpid()) {
        struct rlimit limit; /* asking pthread about this thread would read a file */
        if (getrlimit(RLIMIT_STACK, &limit) == 0) {
            size = limit.rlim_cur == RLIM_INFINITY ? (size_t)MAX_STACK : (size_t)limit.rlim_cur;
        }
    } else {
        pthread_attr_t attributes;
        if (pthread_getattr_np(pthread_self(), &attributes) == 0) {
            void *end;
            if (pthread_attr_getstack(&attributes, &end, &size) != 0) {
                size = DEFAULT_STACK;
            }
            pthread_attr_destroy(&attributes);
        }
    }
    return size < MAX_STACK ? size : (size_t)MAX_STACK;
}

static bool
is_deep(void)
{
    char here;
    char *now = &here;
    if (deepest == NULL) {
        deepest = now - stack_size() / PART_OF_STACK;
    }
    return now < deepest;
}

/* May `frame`, which is about to run, run without events? */
static bool
may_be_untraced(core *self, PyThreadState *thread, const _PyInterpreterFrame *frame, bool throwing)
{
    if (thread->c_profilefunc != NULL || ((thread_trace *)thread->c_traceobj)->user != NULL) {
        return false;
    }
    const code_state *state = code_state_of(self, frame->f_code);
    if (state == NULL) {
        return core_is_excluded(self, frame->f_code);
    }
    if (!state->fully_recorded || throwing) {
        return false;
    }
    /* What handled an exception may have led a generator to where control does not come else. */
    frame_table *frames = &((thread_trace *)thread->c_traceobj)->frames;
    frame_entry *entry =
        frame->frame_obj != NULL ? frame_table_find(frames, frame->frame_obj) : NULL;
    if (entry != NULL && !entry->interrupted) {
        frame_table_remove(frames, entry);
        entry = NULL;
    }
    return entry == NULL;
}

static bool
is_traced(const core *self, const PyThreadState *thread)
{
    return thread->c_tracefunc == self->tracefunc && has_our_trace(self, thread);
}

/* Trace the calling thread, which C code has created, or has given another trace function: then
 * `trace` is what traced it before, and that function sees every frame. */
static void
retrace(core *self, PyObject *trace)
{
    PyObject *exception = compat_take_exception();
    Py_XINCREF(trace);
    if (target_tracer_keep_ours(self, &trace) < 0) {
        PyErr_WriteUnraisable(NULL); /* the frame itself can run all the same */
    }
    Py_XDECREF(trace);
    compat_restore_exception(exception);
}

static PyObject *
evaluate(PyThreadState *thread, _PyInterpreterFrame *frame, int throwing)
{
    core *self = untraced_core;
    if (self == NULL || thread->tracing != 0) {
        return _PyEval_EvalFrameDefault(thread, frame, throwing);
    }
    wake(self, thread);
    if (watching && !is_traced(self, thread)) {
        retrace(self, innermost != NULL ? innermost->trace : NULL);
    }
    if (untraced_core != self || !is_traced(self, thread)) {
        return _PyEval_EvalFrameDefault(thread, frame, throwing);
    }
    if (is_deep()) {
        untraced_stop(self);
        return _PyEval_EvalFrameDefault(thread, frame, throwing);
    }
    _PyCFrame *caller = thread->cframe;
    uint8_t before = caller->use_tracing;
    bool quiet = may_be_untraced(self, thread, frame, throwing != 0);
    evaluation now = {innermost, frame, quiet, watching ? Py_NewRef(thread->c_traceobj) : NULL};
    innermost = &now;
    caller->use_tracing = quiet ? 0 : ON;
    PyObject *result = _PyEval_EvalFrameDefault(thread, frame, throwing);
    innermost = now.caller;
    if (untraced_core == self) {
        wake(self, thread);
        if (now.trace != NULL && !is_traced(self, thread)) {
            retrace(self, now.trace);
        }
    }
    Py_XDECREF(now.trace);
    if (untraced_core == self) {
        /* Else the caller has what the interpreter gave it. */
        if (thread->c_profilefunc == NULL && is_traced(self, thread)) {
            caller->use_tracing = before;
        }
    } else if (thread->c_tracefunc != NULL || thread->c_profilefunc != NULL) {
        caller->use_tracing = ON;
    }
    return result;
}

bool
untraced_start(core *self)
{
    PyInterpreterState *interpreter = PyInterpreterState_Get();
    if (untraced_core != NULL || self->settrace_event == NULL || self->records_contexts ||
        target_tracer_is_anywhere(self) || /* before a late start */
        interpreter != PyInterpreterState_Main() ||
        _PyInterpreterState_GetEvalFrameFunc(interpreter) != _PyEval_EvalFrameDefault) {
        return false;
    }
    untraced_core = self;
    self->has_untraced_frames = true; /* from now on: some run quietly until they end */
    _PyInterpreterState_SetEvalFrameFunc(interpreter, evaluate);
    return true;
}

void
untraced_stop(core *self)
{
    if (self == NULL || untraced_core != self) {
        return;
    }
    untraced_core = NULL;
    PyInterpreterState *interpreter = PyInterpreterState_Main();
    if (_PyInterpreterState_GetEvalFrameFunc(interpreter) == evaluate) {
        _PyInterpreterState_SetEvalFrameFunc(interpreter, _PyEval_EvalFrameDefault);
    }
    if (watching) {
        foreign_threads_watch();
    }
    /* No thread can end while this one holds the GIL; nothing is called during the walk. */
    for (PyThreadState *thread = PyInterpreterState_ThreadHead(interpreter); thread != NULL;
         thread = PyThreadState_Next(thread)) {
        wake(self, thread);
        if (thread->c_tracefunc == NULL) {
            continue;
        }
        for (_PyCFrame *frame = thread->cframe; frame != NULL; frame = frame->previous) {
            frame->use_tracing = ON;
        }
    }
}

bool
untraced_is_on(const core *self)
{
    return untraced_core == self;
}

bool
untraced_keeps_threads(const core *self)
{
    watching = watching || untraced_core == self;
    return untraced_core == self;
}

bool
untraced_begin_frame(core *self, const PyFrameObject *frame)
{
    PyThreadState *thread = PyThreadState_Get();
    /* Not a frame that is older than the evaluator: others share its C frame. */
    if (untraced_core == self && thread->c_profilefunc == NULL && innermost != NULL &&
        innermost->frame == thread->cframe->current_frame && innermost->frame == frame->f_frame) {
        thread->c_tracefunc = NULL;
        innermost->quiet = true;
        return true;
    }
    return false;
}

bool
untraced_end_frame(const PyFrameObject *frame)
{
    if (innermost == NULL || !innermost->quiet || innermost->frame != frame->f_frame) {
        return false;
    }
    innermost->quiet = false;
    return true;
}

enum { MAX_RECHECK_INTERVAL = 1 << 20 };

void
untraced_recheck(core *self, code_state *state)
{
    if (untraced_core != self || state->fully_recorded || state->claim != NULL ||
        state->file == NULL || state->roles != 0) {
        return;
    }
    if (state->reach == NULL) {
        state->reach = reachable_new(state->code, self->branch);
        if (state->reach == NULL) {
            return; /* nor is it asked for again */
        }
    }
    if (reachable_is_recorded(state->reach, state->file)) {
        state->fully_recorded = true;
        reachable_free(state->reach);
        state->reach = NULL;
    } else {
        /* Another code object on these lines may tell the rest, or it never comes. Each fact that
         * is new asks again, too, so there is a limit. */
        if (state->recheck_interval < MAX_RECHECK_INTERVAL) {
            state->recheck_interval *= 2;
        }
        state->recheck_countdown = state->recheck_interval;
    }
}

#else

bool
untraced_start(core *self)
{
    (void)self;
    return false;
}

void
untraced_stop(core *self)
{
    (void)self;
}

bool
untraced_is_on(const core *self)
{
    (void)self;
    return false;
}

bool
untraced_keeps_threads(const core *self)
{
    (void)self;
    return false;
}

bool
untraced_begin_frame(core *self, const PyFrameObject *frame)
{
    (void)self;
    (void)frame;
    return false;
}

bool
untraced_end_frame(const PyFrameObject *frame)
{
    (void)frame;
    return false;
}

void
untraced_recheck(core *self, code_state *state)
{
    (void)self;
    (void)state;
}

#endif
