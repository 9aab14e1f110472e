/* settrace/target_tracer.c - the target's own trace and profile functions.
 *
 * The functions of sys are wrapped where they are (cpython/builtin_patch.h), so the target finds
 * the objects that it knows. What it installs is called by a C function of ours, from which it is
 * called the way sysmodule.c does it, but with tracing on (cpython/target_callback.h).
 *
 * Threads: see settrace/target_tracer.h.
 * Must never know: what is measured, and how. */
#include "settrace/target_tracer.h"

#include "cpython/target_callback.h"
#include "contexts/contexts.h"
#include "cpython/builtin_patch.h"
#include "settrace/untraced_frames.h"

#include <stdlib.h>

static const char *const event_names[] = {"call",   "exception",   "line",     "return",
                                          "c_call", "c_exception", "c_return", "opcode"};

static PyObject *
call_target_function(PyObject *callback, PyFrameObject *frame, int what, PyObject *arg)
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

/* Steals `user`. */
static void
set_target_function(thread_trace *self, PyObject *user, Py_tracefunc function)
{
    if (user != NULL) {
        untraced_stop(self->owner); /* it sees every frame */
    }
    PyObject *old = self->user;
    self->user = user;
    self->user_function = function;
    Py_XDECREF(old);
}

static void
drop_target_function(thread_trace *self)
{
    set_target_function(self, NULL, NULL);
}

void
target_tracer_take_back(thread_trace *self)
{
    PyThreadState *thread = PyThreadState_Get();
    if (self->owner->settrace_event == NULL || thread->c_tracefunc == self->owner->tracefunc) {
        return;
    }
    PyObject *exception = compat_take_exception();
    set_target_function(self, Py_XNewRef(thread->c_traceobj), thread->c_tracefunc);
    PyEval_SetTrace(self->owner->tracefunc, (PyObject *)self);
    if (PyErr_Occurred()) {
        PyErr_WriteUnraisable(NULL); /* an audit builtin_patch forbids it */
    }
    compat_restore_exception(exception);
}

static int
forward_to_c(thread_trace *self, PyFrameObject *frame, int what, PyObject *arg)
{
    PyObject *user = Py_NewRef(self->user);
    int rc = self->user_function(user, frame, what, arg);
    Py_DECREF(user);
    target_tracer_take_back(self);
    return rc;
}

int
target_tracer_forward(thread_trace *self, PyFrameObject *frame, int what, PyObject *arg)
{
    if (target_callback_is_running()) {
        return 0;
    }
    if (self->user_function != NULL) {
        return forward_to_c(self, frame, what, arg);
    }
    PyObject *callback = Py_XNewRef(what == PyTrace_CALL ? self->user : compat_frame_tracer(frame));
    if (callback == NULL) {
        return 0;
    }
    int at = PyFrame_GetLasti(frame);
    PyObject *result = call_target_function(callback, frame, what, arg);
    Py_DECREF(callback);
    target_tracer_take_back(self);
    if (result == NULL) {
        /* A tracer that fails is taken off; ours stays where it measures. */
        PyObject *exception = compat_take_exception();
        if (self->owner->settrace_event != NULL) {
            drop_target_function(self);
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
    return PyFrame_GetLasti(frame) != at ? TARGET_TRACER_JUMPED : 0;
}

/* The trace function under the monitoring core, which needs none for itself. */
static int
on_trace(PyObject *trace, PyFrameObject *frame, int what, PyObject *arg)
{
    thread_trace *self = (thread_trace *)trace;
    if (self->user == NULL) {
        return 0;
    }
    Py_INCREF(trace); /* the target's tracer may end the tracing of this thread */
    int rc = target_tracer_forward(self, frame, what, arg);
    if (rc == TARGET_TRACER_JUMPED) {
        /* No LINE event is sent for the line that it jumped to. */
        PyCodeObject *code = PyFrame_GetCode(frame); /* owned */
        const code_state *state = code_state_of(self->owner, code);
        if (state != NULL) {
            core_record_line(self->owner, state->file, PyFrame_GetLineNumber(frame));
        }
        Py_DECREF(code);
        rc = 0;
    }
    Py_DECREF(trace);
    return rc;
}

static int
on_profile(PyObject *trace, PyFrameObject *frame, int what, PyObject *arg)
{
    thread_trace *self = (thread_trace *)trace;
    if (target_callback_is_running() || self->user == NULL) {
        return 0;
    }
    Py_INCREF(trace);
    PyObject *user = Py_NewRef(self->user); /* it may put another in its place */
    PyObject *result = call_target_function(user, frame, what, arg);
    Py_DECREF(user);
    if (result == NULL) {
        PyObject *exception = compat_take_exception();
        PyEval_SetProfile(NULL, NULL);
        compat_restore_exception(exception);
    }
    Py_DECREF(trace);
    Py_XDECREF(result);
    return result != NULL ? 0 : -1;
}

static void
thread_trace_dealloc(PyObject *trace)
{
    thread_trace *self = (thread_trace *)trace;
    PyTypeObject *type = Py_TYPE(trace);
    frame_table_clear(&self->frames);
    drop_target_function(self);
    type->tp_free(trace);
    Py_DECREF(type);
}

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

/* What goes with a trace or profile function; `user` may be NULL. */
static thread_trace *
new_trace(core *self, PyObject *user)
{
    thread_trace *trace = PyObject_New(thread_trace, self->thread_trace_type);
    if (trace != NULL) {
        if (user != NULL) {
            untraced_stop(self);
        }
        trace->owner = self;
        trace->user = Py_XNewRef(user);
        trace->user_function = NULL;
        trace->installing = false;
        trace->frames = (frame_table){0};
    }
    return trace;
}

bool
target_tracer_is_tracing(const core *self)
{
    const PyThreadState *thread = PyThreadState_Get();
    return thread->c_tracefunc == self->tracefunc ||
           /* away as long as this frame is quiet */
           (thread->c_tracefunc == NULL && untraced_is_on(self) && thread->c_traceobj != NULL &&
            Py_IS_TYPE(thread->c_traceobj, self->thread_trace_type));
}

bool
target_tracer_is_anywhere(const core *self)
{
    /* No thread can end while this one holds the GIL; nothing is called during the walk. */
    for (PyThreadState *thread = PyInterpreterState_ThreadHead(PyInterpreterState_Get());
         thread != NULL; thread = PyThreadState_Next(thread)) {
        if (thread->c_tracefunc != NULL && (thread->c_tracefunc != self->tracefunc ||
                                            ((thread_trace *)thread->c_traceobj)->user != NULL)) {
            return true;
        }
    }
    return false;
}

int
target_tracer_trace_thread(core *self)
{
    thread_trace *trace = new_trace(self, NULL);
    if (trace == NULL) {
        return -1;
    }
    compat_trace_thread(self->tracefunc, (PyObject *)trace);
    Py_DECREF(trace);
    return PyErr_Occurred() ? -1 : 0;
}

int
target_tracer_keep_ours(core *self, PyObject **known)
{
    PyThreadState *thread = PyThreadState_Get();
    bool missed = *known != NULL && thread->c_tracefunc != self->tracefunc;
    if (thread->c_tracefunc != self->tracefunc) {
        thread_trace *trace =
            new_trace(self, thread->c_tracefunc != NULL ? thread->c_traceobj : NULL);
        if (trace == NULL) {
            return -1;
        }
        trace->user_function = thread->c_tracefunc;
        compat_trace_thread(self->tracefunc, (PyObject *)trace);
        Py_DECREF(trace);
        if (PyErr_Occurred()) {
            return -1;
        }
    }
    /* Also C code that put ours back that it had found. */
    thread_trace *now = (thread_trace *)Py_NewRef(thread->c_traceobj); /* owned */
    thread_trace *before = (thread_trace *)*known;
    if (before != NULL && before != now) {
        frame_table frames = now->frames;
        now->frames = before->frames;
        before->frames = frames;
    }
    Py_XSETREF(*known, Py_NewRef((PyObject *)now));
    if (missed || (before != NULL && before != now)) {
        settrace_record_positions(now);
    }
    Py_DECREF(now);
    return 0;
}

/* What traced a thread before. */
typedef struct {
    uint64_t thread;
    Py_tracefunc function;
    PyObject *object; /* owned, or NULL */
} previous_trace;

/* The trace object that a thread gets in the place of `object`, which traced it (NULL: nothing)
 * with `function`. Owned; NULL: exception set. */
static PyObject *
trace_replacing(core *self, Py_tracefunc function, PyObject *object, bool is_shared)
{
    PyObject *user = object;
    if (object != NULL && Py_IS_TYPE(object, self->thread_trace_type)) {
        if (!is_shared) {
            return Py_NewRef(object);
        }
        /* The target gave one tracer to several threads. */
        user = ((thread_trace *)object)->user;
        function = ((thread_trace *)object)->user_function;
    }
    thread_trace *trace = new_trace(self, user);
    if (trace != NULL) {
        trace->user_function = user != NULL ? function : NULL;
    }
    return (PyObject *)trace;
}

int
target_tracer_trace_all_threads(core *self)
{
    PyInterpreterState *interpreter = PyInterpreterState_Get();
    PyObject *shared = (PyObject *)new_trace(self, NULL); /* owned */
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
            Py_DECREF(shared); /* the thread's */
        }
    }
    for (size_t i = 0; i < count; i++) {
        Py_XDECREF(before[i].object);
    }
    free(before);
    Py_XDECREF(shared);
    return rc;
}

/* Has a frame of this thread asked for opcode events? With `again`, it is asked to ask again.
 * -1 with an exception set. */
static int
walk_opcode_frames(bool again)
{
    int found = 0, rc = 0;
    PyFrameObject *frame = (PyFrameObject *)Py_XNewRef((PyObject *)PyEval_GetFrame());
    while (COMPAT_MONITORING && frame != NULL && rc == 0) {
        PyObject *wanted = PyObject_GetAttrString((PyObject *)frame, "f_trace_opcodes");
        rc = wanted != NULL ? PyObject_IsTrue(wanted) : -1;
        Py_XDECREF(wanted);
        if (rc > 0) {
            found = 1;
            rc =
                again && (PyObject_SetAttrString((PyObject *)frame, "f_trace_opcodes", Py_False) <
                              0 ||
                          PyObject_SetAttrString((PyObject *)frame, "f_trace_opcodes", Py_True) < 0)
                    ? -1
                    : 0;
        }
        PyFrameObject *back = PyFrame_GetBack(frame); /* owned */
        Py_DECREF(frame);
        frame = back;
    }
    Py_XDECREF(frame);
    return rc < 0 ? -1 : found;
}

/* Under the settrace core: our trace function stays, and only the target's changes. */
static PyObject *
exchange_target_function(thread_trace *trace, PyObject *tracer)
{
    if (PySys_Audit("sys.settrace", NULL) < 0) {
        return NULL;
    }
    if (COMPAT_TRACER_NOT_REENTRANT && trace->installing) {
        /* CPython's own answer to a tracer that installs another one as it is dropped. */
        PyErr_SetString(PyExc_RuntimeError, "Cannot install a trace function while another trace "
                                            "function is being installed");
        return NULL;
    }
    if (COMPAT_OPCODES_BY_SETTRACE && tracer != Py_None) {
        int wanted = walk_opcode_frames(false);
        if (wanted > 0) {
            PyEval_SetTrace(trace->owner->tracefunc, (PyObject *)trace);
        }
        if (wanted < 0 || PyErr_Occurred()) {
            return NULL;
        }
    }
    trace->installing = true;
    set_target_function(trace, tracer != Py_None ? Py_NewRef(tracer) : NULL, NULL);
    trace->installing = false;
    Py_RETURN_NONE;
}

/* Let CPython install the target's `user` as it would, with every word and audit event; then what
 * it calls is `ours`. `function` and `object` are the slot in the thread. */
static PyObject *
install(core *self, const patched_call *call, PyObject *user, Py_tracefunc ours,
        Py_tracefunc *function, PyObject **object)
{
    thread_trace *trace = user != Py_None ? new_trace(self, user) : NULL;
    if (trace == NULL && user != Py_None) {
        return NULL;
    }
    PyObject *result = patch_call_original(call);
    if (result != NULL && trace != NULL && *object == user) {
        *function = ours;
        *object = Py_NewRef((PyObject *)trace);
        Py_DECREF(user); /* the thread's; the caller has one too */
    }
    Py_XDECREF(trace);
    return result;
}

/* A second tool with LINE events (CPython's own for sys.settrace, beside ours) makes CPython forget
 * opcode events that frames have asked for before (3.13 to 3.15): ask for them again. */
static int
restore_opcode_events(void)
{
    return walk_opcode_frames(true) < 0 ? -1 : 0;
}

static PyObject *
settrace_handler(const patched_call *call)
{
    core *self = interpreter_core();
    PyObject *tracer = patch_only_argument(call);
    if (self == NULL || self->tracefunc == NULL || tracer == NULL) {
        return patch_call_original(call);
    }
    if (self->settrace_event == NULL) {
        PyThreadState *thread = PyThreadState_Get();
        PyObject *result =
            install(self, call, tracer, self->tracefunc, &thread->c_tracefunc, &thread->c_traceobj);
        if (result != NULL && tracer != Py_None && restore_opcode_events() < 0) {
            Py_CLEAR(result);
        }
        return result;
    }
    if (!target_tracer_is_tracing(self) && target_tracer_trace_thread(self) < 0) {
        return NULL;
    }
    /* An audit builtin_patch, or what the old tracer does as it is dropped, may trace by other
     * means. */
    PyObject *trace = Py_NewRef(PyThreadState_Get()->c_traceobj);
    PyObject *result = exchange_target_function((thread_trace *)trace, tracer);
    Py_DECREF(trace);
    return result;
}

static PyObject *
target_function_of(PyObject *trace)
{
    PyObject *user = ((thread_trace *)trace)->user;
    return Py_NewRef(user != NULL ? user : Py_None);
}

static PyObject *
gettrace_handler(const patched_call *call)
{
    core *self = interpreter_core();
    if (self == NULL || self->tracefunc == NULL || !target_tracer_is_tracing(self) ||
        patch_argument_count(call) != 0) {
        return patch_call_original(call);
    }
    return target_function_of(PyThreadState_Get()->c_traceobj);
}

static PyObject *
setprofile_handler(const patched_call *call)
{
    core *self = interpreter_core();
    PyObject *profiler = patch_only_argument(call);
    if (self == NULL || self->tracefunc == NULL || profiler == NULL) {
        return patch_call_original(call);
    }
    if (profiler != Py_None) {
        untraced_stop(self); /* it sees every frame */
    }
    PyThreadState *thread = PyThreadState_Get();
    return install(self, call, profiler, on_profile, &thread->c_profilefunc, &thread->c_profileobj);
}

static PyObject *
getprofile_handler(const patched_call *call)
{
    PyThreadState *thread = PyThreadState_Get();
    return thread->c_profilefunc == on_profile && patch_argument_count(call) == 0
               ? target_function_of(thread->c_profileobj)
               : patch_call_original(call);
}

static PyObject *
call_tracing_handler(const patched_call *call)
{
    int running = target_callback_suspend();
    PyObject *result = patch_call_original(call);
    target_callback_resume(running);
    return result;
}

#if COMPAT_MONITORING

/* `set` is PyEval_SetTraceAllThreads or its kin: let it install `function` for the target's `user`,
 * or nothing for None. */
static PyObject *
install_everywhere(core *self, void (*set)(Py_tracefunc, PyObject *), Py_tracefunc function,
                   PyObject *user)
{
    thread_trace *trace = user != Py_None ? new_trace(self, user) : NULL;
    if (trace == NULL && user != Py_None) {
        return NULL;
    }
    set(trace != NULL ? function : NULL, (PyObject *)trace);
    Py_XDECREF(trace);
    if (PyErr_Occurred()) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *
settrace_all_handler(const patched_call *call)
{
    core *self = interpreter_core();
    PyObject *tracer = patch_only_argument(call);
    if (self == NULL || self->tracefunc == NULL || tracer == NULL) {
        return patch_call_original(call);
    }
    if (self->settrace_event == NULL) {
        return install_everywhere(self, PyEval_SetTraceAllThreads, self->tracefunc, tracer);
    }
    if (PySys_Audit("sys.settrace", NULL) < 0) {
        return NULL;
    }
    PyObject *traces = PyList_New(0);
    if (traces == NULL) {
        return NULL;
    }
    int rc = 0;
    /* No thread can end while this one holds the GIL; nothing is called during the walk. */
    for (PyThreadState *thread = PyInterpreterState_ThreadHead(PyInterpreterState_Get());
         thread != NULL && rc == 0; thread = PyThreadState_Next(thread)) {
        if (thread->c_tracefunc == self->tracefunc) {
            rc = PyList_Append(traces, thread->c_traceobj);
        }
    }
    for (Py_ssize_t i = 0; rc == 0 && i < PyList_GET_SIZE(traces); i++) {
        set_target_function((thread_trace *)PyList_GET_ITEM(traces, i),
                            tracer != Py_None ? Py_NewRef(tracer) : NULL, NULL);
    }
    Py_DECREF(traces);
    return rc == 0 ? Py_NewRef(Py_None) : NULL;
}

static PyObject *
setprofile_all_handler(const patched_call *call)
{
    core *self = interpreter_core();
    PyObject *profiler = patch_only_argument(call);
    if (self == NULL || self->tracefunc == NULL || profiler == NULL) {
        return patch_call_original(call);
    }
    return install_everywhere(self, PyEval_SetProfileAllThreads, on_profile, profiler);
}

PATCH(settrace_all, "sys", "_settraceallthreads");
PATCH(setprofile_all, "sys", "_setprofileallthreads");

#endif

PATCH(settrace, "sys", "settrace");
PATCH(gettrace, "sys", "gettrace");
PATCH(setprofile, "sys", "setprofile");
PATCH(getprofile, "sys", "getprofile");
PATCH(call_tracing, "sys", "call_tracing");

static int
install_patches(builtin_patch *const *patches, PyObject *refused)
{
    int rc = 0;
    for (; *patches != NULL && rc == 0; patches++) {
        rc = patch_install(*patches, refused);
    }
    return rc;
}

int
target_tracer_install(core *self, Py_tracefunc on_event)
{
    builtin_patch *const patches[] = {
        &settrace,     &gettrace,       &setprofile, &getprofile, &call_tracing,
#if COMPAT_MONITORING
        &settrace_all, &setprofile_all,
#endif
        NULL,
    };
    self->tracefunc = on_event != NULL ? on_event : on_trace;
    self->thread_trace_type = (PyTypeObject *)PyType_FromSpec(&thread_trace_spec);
    PyObject *refused = self->thread_trace_type != NULL ? PyList_New(0) : NULL;
    int rc = refused != NULL ? install_patches(patches, refused) : -1;
    if (rc == 0 && PyList_GET_SIZE(refused) > 0) {
        PyErr_Format(PyExc_RuntimeError, "cannot wrap %S", PyList_GET_ITEM(refused, 0));
        rc = -1;
    }
    Py_XDECREF(refused);
    return rc;
}
