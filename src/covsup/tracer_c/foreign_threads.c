/* foreign_threads.c - trace threads that C code created, under the settrace core.
 *
 * Such a thread never passes through _thread, so nothing tells us that it begins. A frame
 * evaluator (PEP 523) sees the first frame of every thread. Its price is that calls between
 * Python functions recurse in C again, so it is armed only when something is loaded that can
 * create threads, and steps back while a thread is so deep in calls that the C stack might not
 * bear them: only a foreign thread that begins at such a moment is missed.
 *
 * Threads: runs in every thread, with the GIL (or attached).
 * Must never know: what a trace function records. */
#include "core.h"

#include <stdatomic.h>

enum { MOST_DEPTH = 200 }; /* 3.12 allows C code some 700 nested calls before RecursionError */

static _Thread_local int depth;
static _Thread_local bool starting; /* starting runs audit hooks, whose frames come here as well */

static PyObject *
evaluate(PyThreadState *thread, struct _PyInterpreterFrame *frame, int throwing)
{
    /* A C tracer that somebody else put there is left alone. */
    if (thread->c_tracefunc == NULL && !throwing && !starting) {
        starting = true;
        if (core_thread_begins() < 0) {
            PyErr_WriteUnraisable(NULL); /* the frame itself can run all the same */
        }
        starting = false;
    }
    if (++depth == MOST_DEPTH) {
        _PyInterpreterState_SetEvalFrameFunc(PyThreadState_GetInterpreter(thread),
                                             _PyEval_EvalFrameDefault);
    }
    PyObject *result = _PyEval_EvalFrameDefault(thread, frame, throwing);
    if (depth-- == MOST_DEPTH) {
        _PyInterpreterState_SetEvalFrameFunc(PyThreadState_GetInterpreter(thread), evaluate);
    }
    return result;
}

int
foreign_threads_watch(void)
{
    core *self = core_of_interpreter();
    if (self == NULL || self->settrace_event == NULL) {
        return 0; /* sys.monitoring sees every thread by itself */
    }
    PyInterpreterState *interpreter = PyInterpreterState_Get();
    _PyFrameEvalFunction current = _PyInterpreterState_GetEvalFrameFunc(interpreter);
    if (current == _PyEval_EvalFrameDefault) {
        _PyInterpreterState_SetEvalFrameFunc(interpreter, evaluate);
        return 0;
    }
    return current == evaluate ? 0 : 1;
}
