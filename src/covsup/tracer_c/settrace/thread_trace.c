/* settrace/thread_trace.c - our trace function in a thread, and the target's that it calls.
 *
 * Threads, Must never know: see settrace/thread_trace.h. */
#include "settrace/thread_trace.h"

#include "cpython/target_callback.h"

#include <stdlib.h>

static const char *const event_names[] = {"call",   "exception",   "line",     "return",
                                          "c_call", "c_exception", "c_return", "opcode"};

PyObject *
thread_trace_call_target(PyObject *callback, PyFrameObject *frame, int what, PyObject *arg)
{
#if COMPAT_LOCALS_SNAPSHOT == COMPAT_LOCALS_ALWAYS
    if (PyFrame_FastToLocalsWithError(frame) < 0) {
        return NULL;
    }
#endif
    PyObject *result = NULL;
    PyObject *name = PyUnicode_InternFromString(event_names[what]);
    if (name != NULL) {
        PyObject *args[] = {(PyObject *)frame, name, arg != NULL ? arg : Py_None};
        result = target_callback_call(callback, args, 3);
        Py_DECREF(name);
    }
#if COMPAT_LOCALS_SNAPSHOT != COMPAT_LOCALS_NEVER
    PyFrame_LocalsToFast(frame, 1);
#endif
    return result;
}

void
thread_trace_set_target(thread_trace *self, PyObject *target, Py_tracefunc function)
{
    if (target != NULL) {
        core_require_all_frames(self->owner);
    }
    PyObject *old = self->target;
    self->target = target;
    self->target_function = function;
    Py_XDECREF(old);
}

void
thread_trace_take_back(thread_trace *self)
{
    PyThreadState *thread = PyThreadState_Get();
    if (self->owner->settrace_event == NULL || thread->c_tracefunc == self->owner->tracefunc) {
        return;
    }
    PyObject *exception = compat_take_exception();
    thread_trace_set_target(self, Py_XNewRef(thread->c_traceobj), thread->c_tracefunc);
    PyEval_SetTrace(self->owner->tracefunc, (PyObject *)self);
    if (PyErr_Occurred()) {
        PyErr_WriteUnraisable(NULL); /* an audit hook forbids it */
    }
    compat_restore_exception(exception);
}

static int
forward_to_c(thread_trace *self, PyFrameObject *frame, int what, PyObject *arg)
{
    PyObject *target = Py_NewRef(self->target);
    int rc = self->target_function(target, frame, what, arg);
    Py_DECREF(target);
    thread_trace_take_back(self);
    return rc;
}

int
thread_trace_forward(thread_trace *self, PyFrameObject *frame, int what, PyObject *arg)
{
    if (target_callback_is_running()) {
        return 0;
    }
    if (self->target_function != NULL) {
        return forward_to_c(self, frame, what, arg);
    }
    PyObject *callback =
        Py_XNewRef(what == PyTrace_CALL ? self->target : compat_frame_tracer(frame));
    if (callback == NULL) {
        return 0;
    }
    int at = PyFrame_GetLasti(frame);
    PyObject *result = thread_trace_call_target(callback, frame, what, arg);
    Py_DECREF(callback);
    thread_trace_take_back(self);
    if (result == NULL) {
        /* CPython removes a tracer that fails. Ours has to stay where it measures. */
        PyObject *exception = compat_take_exception();
        if (self->owner->settrace_event != NULL) {
            thread_trace_set_target(self, NULL, NULL);
        } else {
            PyEval_SetTrace(NULL, NULL);
        }
        compat_set_frame_tracer(frame, NULL);
        compat_restore_exception(exception);
        return -1;
    }
    if (result != Py_None) {
        compat_set_frame_tracer(frame, result);
    } else {
        Py_DECREF(result);
    }
    return PyFrame_GetLasti(frame) != at ? THREAD_TRACE_JUMPED : 0;
}

static void
thread_trace_dealloc(PyObject *trace)
{
    thread_trace *self = (thread_trace *)trace;
    PyTypeObject *type = Py_TYPE(trace);
    frame_table_clear(&self->frames);
    thread_trace_set_target(self, NULL, NULL);
    type->tp_free(trace);
    Py_DECREF(type);
}

/* CPython takes both as not const; they are never written. */
static PyType_Slot thread_trace_slots[] = {
    {Py_tp_dealloc, thread_trace_dealloc},
    {0, NULL},
};

static PyType_Spec thread_trace_spec = {
    .name = "covsup.tracer_c._tracer.ThreadTrace",
    .basicsize = sizeof(thread_trace),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = thread_trace_slots,
};

int
thread_trace_prepare(core *self)
{
    self->thread_trace_type = (PyTypeObject *)PyType_FromSpec(&thread_trace_spec);
    return self->thread_trace_type != NULL ? 0 : -1;
}

thread_trace *
thread_trace_new(core *self, PyObject *target)
{
    thread_trace *trace = PyObject_New(thread_trace, self->thread_trace_type);
    if (trace != NULL) {
        if (target != NULL) {
            core_require_all_frames(self);
        }
        trace->owner = self;
        trace->target = Py_XNewRef(target);
        trace->target_function = NULL;
        trace->installing = false;
        trace->frames = (frame_table){0};
        trace->sees_fired_events = false;
    }
    return trace;
}

bool
thread_trace_is_active(const core *self)
{
    const PyThreadState *thread = PyThreadState_Get();
    return thread->c_tracefunc == self->tracefunc ||
           /* removed while an untraced frame runs (untraced_frames.h) */
           (thread->c_tracefunc == NULL && self->stop_untraced != NULL &&
            thread->c_traceobj != NULL && Py_IS_TYPE(thread->c_traceobj, self->thread_trace_type));
}

bool
thread_trace_has_target(const core *self)
{
    /* No thread can end while this one holds the GIL; nothing is called during the walk. */
    for (PyThreadState *thread = PyInterpreterState_ThreadHead(PyInterpreterState_Get());
         thread != NULL; thread = PyThreadState_Next(thread)) {
        if (thread->c_tracefunc != NULL && (thread->c_tracefunc != self->tracefunc ||
                                            ((thread_trace *)thread->c_traceobj)->target != NULL)) {
            return true;
        }
    }
    return false;
}

int
thread_trace_start(core *self)
{
    thread_trace *trace = thread_trace_new(self, NULL);
    if (trace == NULL) {
        return -1;
    }
    compat_trace_thread(self->tracefunc, (PyObject *)trace);
    Py_DECREF(trace);
    return PyErr_Occurred() ? -1 : 0;
}

int
thread_trace_keep(core *self, PyObject **known)
{
    PyThreadState *thread = PyThreadState_Get();
    bool missed = *known != NULL && thread->c_tracefunc != self->tracefunc;
    if (thread->c_tracefunc != self->tracefunc) {
        thread_trace *trace =
            thread_trace_new(self, thread->c_tracefunc != NULL ? thread->c_traceobj : NULL);
        if (trace == NULL) {
            return -1;
        }
        trace->target_function = thread->c_tracefunc;
        compat_trace_thread(self->tracefunc, (PyObject *)trace);
        Py_DECREF(trace);
        if (PyErr_Occurred()) {
            return -1;
        }
    }
    /* C code may also have put back an older trace object of ours. */
    thread_trace *now = (thread_trace *)Py_NewRef(thread->c_traceobj); /* owned */
    thread_trace *before = (thread_trace *)*known;
    if (before != NULL && before != now) {
        frame_table frames = now->frames;
        now->frames = before->frames;
        before->frames = frames;
    }
    Py_XSETREF(*known, Py_NewRef((PyObject *)now));
    if (missed || (before != NULL && before != now)) {
        self->record_positions(now);
    }
    Py_DECREF(now);
    return 0;
}

/* What traced a thread before us. */
typedef struct {
    uint64_t thread;
    Py_tracefunc function;
    PyObject *object; /* owned, or NULL */
} previous_trace;

/* The trace object that replaces `object` (NULL: none), with which `function` traced a thread.
 * `is_shared`: it traced other threads too. New reference, or NULL with an exception set. */
static PyObject *
trace_replacing(core *self, Py_tracefunc function, PyObject *object, bool is_shared)
{
    PyObject *target = object;
    if (object != NULL && Py_IS_TYPE(object, self->thread_trace_type)) {
        if (!is_shared) {
            return Py_NewRef(object);
        }
        /* The target gave one tracer to several threads; each gets an object of its own. */
        target = ((thread_trace *)object)->target;
        function = ((thread_trace *)object)->target_function;
    }
    thread_trace *trace = thread_trace_new(self, target);
    if (trace != NULL) {
        trace->target_function = target != NULL ? function : NULL;
    }
    return (PyObject *)trace;
}

int
thread_trace_start_all(core *self)
{
    PyInterpreterState *interpreter = PyInterpreterState_Get();
    PyObject *shared = (PyObject *)thread_trace_new(self, NULL); /* owned */
    previous_trace *before = NULL;
    size_t count = 0, room = 0;
    int rc = shared != NULL ? 0 : -1;
    /* No thread can end while this one holds the GIL; nothing is called during the walks. */
    for (PyThreadState *thread = PyInterpreterState_ThreadHead(interpreter);
         rc == 0 && thread != NULL; thread = PyThreadState_Next(thread)) {
        if (thread->c_traceobj == NULL) {
            continue;
        }
        if (count == room) {
            room = room == 0 ? 16 : 2 * room;
            previous_trace *more = realloc(before, room * sizeof(*before));
            if (more == NULL) {
                PyErr_NoMemory();
                rc = -1;
                break;
            }
            before = more;
        }
        before[count++] = (previous_trace){PyThreadState_GetID(thread), thread->c_tracefunc,
                                           Py_NewRef(thread->c_traceobj)};
    }
    if (rc == 0) {
        compat_trace_all_threads(self->tracefunc, shared);
    }
    for (PyThreadState *thread = PyInterpreterState_ThreadHead(interpreter);
         rc == 0 && thread != NULL; thread = PyThreadState_Next(thread)) {
        if (thread->c_traceobj != shared) {
            continue;
        }
        previous_trace known = {0};
        for (size_t i = 0; i < count; i++) {
            if (before[i].thread == PyThreadState_GetID(thread)) {
                known = before[i];
            }
        }
        size_t shares = 0;
        for (size_t i = 0; i < count; i++) {
            shares += before[i].object == known.object;
        }
        PyObject *trace = trace_replacing(self, known.function, known.object, shares > 1);
        if (trace == NULL) {
            rc = -1;
        } else {
            thread->c_traceobj = trace;
            Py_DECREF(shared); /* the thread's reference */
        }
    }
    for (size_t i = 0; i < count; i++) {
        Py_XDECREF(before[i].object);
    }
    free(before);
    Py_XDECREF(shared);
    return rc;
}
