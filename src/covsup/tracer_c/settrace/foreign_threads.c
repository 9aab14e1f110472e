/* settrace/foreign_threads.c - trace where C code had its hand in, under the settrace core: threads
 * that it created, and those in which it installed a trace function of its own.
 *
 * Such a thread never passes through _thread, so nothing tells us that it begins. A frame
 * evaluator (PEP 523) sees the first frame of every thread. Its price is that calls between
 * Python functions recurse in C again, so it is armed only when something is loaded that can
 * create threads, and steps back while a thread is so deep in calls that the C stack might not
 * bear them: only a foreign thread that begins at such a moment is missed.
 *
 * A trace function of C code's (PyEval_SetTrace) takes the place of ours, and nothing tells us
 * either. Before the next frame, and as soon as the one has ended that did it, ours is back and
 * calls it.
 *
 * Threads: runs in every thread, with the GIL.
 * Must never know: what a trace function records. */
#include "settrace/untraced_frames.h"
#include "settrace/target_tracer.h"

#include <stdatomic.h>

enum { MAX_DEPTH = 200 }; /* 3.12 allows C code some 700 nested calls before RecursionError */

/* What this thread does in one interpreter; it may call into another one, from C code. */
typedef struct {
    PyThreadState *thread; /* whose this is; only compared */
    int depth;
    bool starting;   /* starting runs audit hooks, whose frames come here as well */
    PyObject *trace; /* owned: what traces it, as long as frames are evaluated in it */
} evaluation;

static _Thread_local evaluation here;

/* See that ours is the trace function of this thread. */
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
    if (target_tracer_keep_ours(self, &here.trace) < 0) {
        PyErr_WriteUnraisable(NULL); /* the frame itself can run all the same */
    }
    compat_restore_exception(exception);
    here.starting = false;
}

static PyObject *evaluate(PyThreadState *thread, struct _PyInterpreterFrame *frame, int throwing);

/* A call from another interpreter, whose frames go on afterwards. */
static PyObject *
evaluate_inside(PyThreadState *thread, struct _PyInterpreterFrame *frame, int throwing)
{
    evaluation outer = here;
    here = (evaluation){.thread = thread};
    PyObject *result = evaluate(thread, frame, throwing);
    Py_CLEAR(here.trace); /* it is gone, unless greenlets were left behind */
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

int
foreign_threads_watch(void)
{
    core *self = interpreter_core();
    if (self == NULL || self->settrace_event == NULL) {
        return 0; /* sys.monitoring sees every thread by itself */
    }
    if (untraced_keeps_threads(self)) {
        return 0;
    }
    PyInterpreterState *interpreter = PyInterpreterState_Get();
    _PyFrameEvalFunction current = _PyInterpreterState_GetEvalFrameFunc(interpreter);
    if (current == _PyEval_EvalFrameDefault) {
        _PyInterpreterState_SetEvalFrameFunc(interpreter, evaluate);
        return 0;
    }
    return current == evaluate ? 0 : 1;
}
