/* settrace/foreign_threads.c - trace the threads that C code creates or traces itself.
 *
 * A thread of C code's does not pass through _thread, so no call of ours shows that it begins. A
 * frame evaluator (PEP 523) sees the first frame of every thread. Its price is that calls between
 * Python functions recurse in C again. So it is installed only when a library is loaded that can
 * create threads, and it steps back while a thread is so deep in calls that the C stack might
 * overflow; a foreign thread that begins at such a moment is missed.
 *
 * PyEval_SetTrace(), called by C code, replaces our trace function, and nothing reports that
 * either. Before the next frame, and when the frame that did it ends, ours is put back and calls
 * the other.
 *
 * Threads, Must never know: see settrace/foreign_threads.h. */
#include "settrace/foreign_threads.h"

#include "core/interpreter.h"
#include "settrace/thread_trace.h"

enum { MAX_DEPTH = 200 }; /* 3.12 allows C code some 700 nested calls before RecursionError */

/* The frames that this thread evaluates in one interpreter. C code can call from them into another
 * interpreter. */
typedef struct {
    PyThreadState *thread; /* only compared */
    int depth;
    bool starting;   /* tracing is being started, which runs audit hooks, whose frames come here */
    PyObject *trace; /* owned: the trace object, while frames are evaluated */
} evaluation;

static _Thread_local evaluation here;

/* See that our trace function runs in this thread. */
static void
keep_tracing(PyThreadState *thread)
{
    core *self;
    if (thread->c_traceobj == here.trace && here.trace != NULL) {
        return;
    }
    if (here.starting || thread->tracing > 0 || (self = interpreter_core()) == NULL ||
        self->settrace_event == NULL) {
        return;
    }
    here.starting = true;
    PyObject *exception = compat_take_exception();
    if (thread_trace_keep(self, &here.trace) < 0) {
        PyErr_WriteUnraisable(NULL); /* the frame can run all the same */
    }
    compat_restore_exception(exception);
    here.starting = false;
}

static PyObject *evaluate(PyThreadState *thread, struct _PyInterpreterFrame *frame, int throwing);

/* Evaluate a frame that was called from another interpreter, whose frames go on afterwards. */
static PyObject *
evaluate_inside(PyThreadState *thread, struct _PyInterpreterFrame *frame, int throwing)
{
    evaluation outer = here;
    here = (evaluation){.thread = thread};
    PyObject *result = evaluate(thread, frame, throwing);
    Py_CLEAR(here.trace); /* evaluate() has cleared it, unless greenlets were left behind */
    here = outer;
    return result;
}

static PyObject *
evaluate(PyThreadState *thread, struct _PyInterpreterFrame *frame, int throwing)
{
    if (here.thread != thread && here.depth != 0) {
        return evaluate_inside(thread, frame, throwing);
    }
    here.thread = thread;
    if (!throwing) {
        keep_tracing(thread);
    }
    if (++here.depth == MAX_DEPTH) {
        _PyInterpreterState_SetEvalFrameFunc(PyThreadState_GetInterpreter(thread),
                                             _PyEval_EvalFrameDefault);
    }
    PyObject *result = _PyEval_EvalFrameDefault(thread, frame, throwing);
    keep_tracing(thread);
    if (here.depth-- == MAX_DEPTH) {
        _PyInterpreterState_SetEvalFrameFunc(PyThreadState_GetInterpreter(thread), evaluate);
    }
    if (here.depth == 0) {
        Py_CLEAR(here.trace);
    }
    return result;
}

bool
foreign_threads_watch(core *self)
{
    if (self->settrace_event == NULL) {
        return true;
    }
    self->traces_foreign_threads = true;
    if (self->stop_untraced != NULL) {
        return true; /* the evaluator of untraced frames does it (untraced_frames.c) */
    }
    PyInterpreterState *interpreter = PyInterpreterState_Get();
    _PyFrameEvalFunction current = _PyInterpreterState_GetEvalFrameFunc(interpreter);
    if (current == _PyEval_EvalFrameDefault) {
        _PyInterpreterState_SetEvalFrameFunc(interpreter, evaluate);
        return true;
    }
    return current == evaluate;
}
