/* settrace/untraced_frames.c - frames without events, because their code is fully recorded (3.11).
 *
 * The interpreter sends events where `use_tracing` of the C frame is set. Each call of the
 * evaluator makes a C frame, which inherits the flag from its caller's. After each call of a trace
 * function the interpreter sets the flag again, unless the thread has no trace function. So to
 * untrace a frame that is running (untraced_begin_frame), the thread's trace function is removed,
 * and restored before another frame runs.
 *
 * With a frame evaluator, calls between Python functions recurse in C. When a thread has used up a
 * quarter of its C stack, all this ends for good, and calls need no C stack any more.
 *
 * Threads, Must never know: see settrace/untraced_frames.h. */
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
#include "files/file_decision.h"
#include "settrace/foreign_threads.h"
#include "settrace/thread_trace.h"

enum {
    ON = 255,
    PART_OF_STACK = 4,
    DEFAULT_STACK = 64 * 1024,
    MAX_STACK = 8 * 1024 * 1024,
};

/* The core of the main interpreter while its frames may be untraced; else NULL. Under the GIL. */
static core *untraced_core;

/* A frame that is being evaluated. */
typedef struct evaluation {
    struct evaluation *caller;
    const _PyInterpreterFrame *frame;
    bool untraced;
    PyObject *trace; /* owned: the trace object when it began; NULL: !traces_foreign_threads */
} evaluation;

static _Thread_local evaluation *innermost; /* each is on the C stack of its evaluate() */

static _Thread_local char *deepest; /* how far down the C stack may go; NULL: not computed yet */

static bool
has_our_trace(const core *self, const PyThreadState *thread)
{
    return thread->c_traceobj != NULL && Py_IS_TYPE(thread->c_traceobj, self->thread_trace_type);
}

/* Give the thread its trace function back. */
static void
restore_trace(const core *self, PyThreadState *thread)
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
        struct rlimit limit; /* for the main thread pthread_getattr_np() would read a file */
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
    if (thread->c_profilefunc != NULL || ((thread_trace *)thread->c_traceobj)->target != NULL) {
        return false;
    }
    const code_state *state = code_state_of(self, frame->f_code);
    if (state == NULL) {
        return file_is_excluded(self, frame->f_code);
    }
    if (!state->fully_recorded || throwing) {
        return false;
    }
    /* The handler of an exception may have led a generator to where control never comes else. */
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

/* Trace the calling thread, which C code created (`trace` is NULL), or in which it replaced our
 * trace object `trace`; the trace function of C code is then called for every frame. */
static void
retrace(core *self, PyObject *trace)
{
    PyObject *exception = compat_take_exception();
    Py_XINCREF(trace);
    if (thread_trace_keep(self, &trace) < 0) {
        PyErr_WriteUnraisable(NULL); /* the frame can run all the same */
    }
    Py_XDECREF(trace);
    compat_restore_exception(exception);
}

static PyObject *evaluate(PyThreadState *thread, _PyInterpreterFrame *frame, int throwing);

/* All frames have their events from now on, also those that run. */
static void
untraced_stop(core *self)
{
    if (untraced_core != self) {
        return;
    }
    untraced_core = NULL;
    self->stop_untraced = NULL;
    PyInterpreterState *interpreter = PyInterpreterState_Main();
    if (_PyInterpreterState_GetEvalFrameFunc(interpreter) == evaluate) {
        _PyInterpreterState_SetEvalFrameFunc(interpreter, _PyEval_EvalFrameDefault);
    }
    if (self->traces_foreign_threads) {
        (void)foreign_threads_watch(self); /* another evaluator keeps such threads from us */
    }
    /* No thread can end while this one holds the GIL; nothing is called during the walk. */
    for (PyThreadState *thread = PyInterpreterState_ThreadHead(interpreter); thread != NULL;
         thread = PyThreadState_Next(thread)) {
        restore_trace(self, thread);
        if (thread->c_tracefunc == NULL) {
            continue;
        }
        for (_PyCFrame *frame = thread->cframe; frame != NULL; frame = frame->previous) {
            frame->use_tracing = ON;
        }
    }
}

static PyObject *
evaluate(PyThreadState *thread, _PyInterpreterFrame *frame, int throwing)
{
    core *self = untraced_core;
    if (self == NULL || thread->tracing != 0) {
        return _PyEval_EvalFrameDefault(thread, frame, throwing);
    }
    restore_trace(self, thread);
    if (self->traces_foreign_threads && !is_traced(self, thread)) {
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
    bool untraced = may_be_untraced(self, thread, frame, throwing != 0);
    evaluation now = {innermost, frame, untraced,
                      self->traces_foreign_threads ? Py_NewRef(thread->c_traceobj) : NULL};
    innermost = &now;
    caller->use_tracing = untraced ? 0 : ON;
    PyObject *result = _PyEval_EvalFrameDefault(thread, frame, throwing);
    innermost = now.caller;
    if (untraced_core == self) {
        restore_trace(self, thread);
        if (now.trace != NULL && !is_traced(self, thread)) {
            retrace(self, now.trace);
        }
    }
    Py_XDECREF(now.trace);
    if (untraced_core == self) {
        /* Where we do not trace, the caller keeps what the interpreter has set. */
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
        thread_trace_has_target(self) || /* set before a late start */
        interpreter != PyInterpreterState_Main() ||
        _PyInterpreterState_GetEvalFrameFunc(interpreter) != _PyEval_EvalFrameDefault) {
        return false;
    }
    untraced_core = self;
    self->stop_untraced = untraced_stop;
    self->has_untraced_frames = true; /* for good: some stay untraced until they end */
    _PyInterpreterState_SetEvalFrameFunc(interpreter, evaluate);
    return true;
}

bool
untraced_begin_frame(core *self, const PyFrameObject *frame)
{
    PyThreadState *thread = PyThreadState_Get();
    /* A frame that is older than the evaluator shares its C frame with others. */
    if (untraced_core == self && thread->c_profilefunc == NULL && innermost != NULL &&
        innermost->frame == thread->cframe->current_frame && innermost->frame == frame->f_frame) {
        thread->c_tracefunc = NULL;
        innermost->untraced = true;
        return true;
    }
    return false;
}

bool
untraced_end_frame(const PyFrameObject *frame)
{
    if (innermost == NULL || !innermost->untraced || innermost->frame != frame->f_frame) {
        return false;
    }
    innermost->untraced = false;
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
    if (state->reachable == NULL) {
        state->reachable = reachable_new(state->code, self->branch);
        if (state->reachable == NULL) {
            return; /* without a new countdown: there is no other check */
        }
    }
    if (reachable_is_recorded(state->reachable, state->file)) {
        state->fully_recorded = true;
        reachable_free(state->reachable);
        state->reachable = NULL;
    } else {
        /* Double the interval: another code object on these lines may record the rest, or
         * none ever does. There is a limit, because a new line or arc checks again too. */
        if (state->recheck_interval < MAX_RECHECK_INTERVAL) {
            state->recheck_interval *= 2;
        }
        state->recheck_countdown = state->recheck_interval;
    }
}

#endif
