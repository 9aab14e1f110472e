/* settrace/target_tracer.c - sys.settrace, sys.setprofile and their kin, as the target calls them.
 *
 * The functions of sys are patched in place (cpython/builtin_patch.h), so the target finds the
 * objects that it knows. What it installs becomes the target's function of a thread_trace.
 *
 * Threads, Must never know: see settrace/target_tracer.h. */
#include "settrace/target_tracer.h"

#include "contexts/contexts.h"
#include "contexts/record.h"
#include "core/code_state.h"
#include "core/interpreter.h"
#include "cpython/builtin_patch.h"
#include "cpython/target_callback.h"
#include "settrace/thread_trace.h"

/* The trace function under the monitoring core, which needs none for itself. */
static int
on_trace(PyObject *trace, PyFrameObject *frame, int what, PyObject *arg)
{
    thread_trace *self = (thread_trace *)trace;
    if (self->target == NULL) {
        return 0;
    }
    Py_INCREF(trace); /* the target's tracer may end the tracing of this thread */
    int rc = thread_trace_forward(self, frame, what, arg);
    if (rc == THREAD_TRACE_JUMPED) {
        /* No LINE event is sent for the line that it jumped to. */
        PyCodeObject *code = PyFrame_GetCode(frame); /* owned */
        const code_state *state = code_state_of(self->owner, code);
        if (state != NULL && state->file != NULL) {
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
    if (target_callback_is_running() || self->target == NULL) {
        return 0;
    }
    Py_INCREF(trace);
    PyObject *target = Py_NewRef(self->target); /* it may put another in its place */
    PyObject *result = thread_trace_call_target(target, frame, what, arg);
    Py_DECREF(target);
    if (result == NULL) {
        PyObject *exception = compat_take_exception();
        PyEval_SetProfile(NULL, NULL);
        compat_restore_exception(exception);
    }
    Py_DECREF(trace);
    Py_XDECREF(result);
    return result != NULL ? 0 : -1;
}

/* Has a frame of this thread asked for opcode events? `again`: make each that has ask once more. -1
 * with an exception set. */
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
        /* CPython's own answer where dropping a tracer installs another one. */
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
    thread_trace_set_target(trace, tracer != Py_None ? Py_NewRef(tracer) : NULL, NULL);
    trace->installing = false;
    Py_RETURN_NONE;
}

/* Let CPython install the target's function `target`, with its own messages and audit events; then
 * make it call `ours`. `function` and `object` are the slot in the thread state. */
static PyObject *
install(core *self, const patched_call *call, PyObject *target, Py_tracefunc ours,
        Py_tracefunc *function, PyObject **object)
{
    thread_trace *trace = target != Py_None ? thread_trace_new(self, target) : NULL;
    if (trace == NULL && target != Py_None) {
        return NULL;
    }
    PyObject *result = patch_call_original(call);
    if (result != NULL && trace != NULL && *object == target) {
        *function = ours;
        *object = Py_NewRef((PyObject *)trace);
        Py_DECREF(target); /* the thread's reference; the caller has one too */
    }
    Py_XDECREF(trace);
    return result;
}

/* When a second tool sets LINE events (CPython's own for sys.settrace, beside ours), CPython
 * forgets the opcode events that frames have asked for (3.13 to 3.15). Ask for them again. */
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
    if (!thread_trace_is_active(self) && thread_trace_start(self) < 0) {
        return NULL;
    }
    /* Hold the object: an audit hook, or the old tracer's __del__, may trace by other means. */
    PyObject *trace = Py_NewRef(PyThreadState_Get()->c_traceobj);
    PyObject *result = exchange_target_function((thread_trace *)trace, tracer);
    Py_DECREF(trace);
    return result;
}

static PyObject *
target_function_of(PyObject *trace)
{
    PyObject *target = ((thread_trace *)trace)->target;
    return Py_NewRef(target != NULL ? target : Py_None);
}

static PyObject *
gettrace_handler(const patched_call *call)
{
    core *self = interpreter_core();
    if (self == NULL || self->tracefunc == NULL || !thread_trace_is_active(self) ||
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
        core_require_all_frames(self);
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

/* Let `set`, a PyEval_Set...AllThreads(), install `function` for the target's function `target`, or
 * nothing for None. */
static PyObject *
install_everywhere(core *self, void (*set)(Py_tracefunc, PyObject *), Py_tracefunc function,
                   PyObject *target)
{
    thread_trace *trace = target != Py_None ? thread_trace_new(self, target) : NULL;
    if (trace == NULL && target != Py_None) {
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
        thread_trace_set_target((thread_trace *)PyList_GET_ITEM(traces, i),
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
install_patches(builtin_patch *const *patches, PyObject *skipped)
{
    int rc = 0;
    for (; *patches != NULL && rc == 0; patches++) {
        rc = patch_install(*patches, skipped);
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
    PyObject *skipped = thread_trace_prepare(self) == 0 ? PyList_New(0) : NULL; /* owned */
    int rc = skipped != NULL ? install_patches(patches, skipped) : -1;
    if (rc == 0 && PyList_GET_SIZE(skipped) > 0) {
        PyErr_Format(PyExc_RuntimeError, "cannot patch %S", PyList_GET_ITEM(skipped, 0));
        rc = -1;
    }
    Py_XDECREF(skipped);
    return rc;
}
