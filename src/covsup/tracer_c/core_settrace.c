/* core_settrace.c - execution events from a C trace function in every thread.
 *
 * What a frame did last belongs to the frame, whoever runs it: it is kept by frame from the
 * frame's call event to its return event, so greenlets that switch in the middle of a line and
 * generators that are resumed elsewhere cannot pair lines of two frames. The arcs are those of
 * coverage.py's C tracer.
 *
 * The target's own tracer (sys.settrace, threading.settrace) is called from ours as CPython would
 * call it, and sys.gettrace() answers with it.
 *
 * Threads: each thread has a trace object of its own, which only that thread uses.
 * Must never know: adapters, the layout of the journal. */
#include "core.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
    PyFrameObject *frame; /* identity only; NULL: free slot */
    code_state *state;    /* NULL: not measured */
    int last_line;        /* 0: unknown */
    bool hides_lines;     /* the target wants no line events of this frame */
} frame_entry;

typedef struct {
    PyObject_HEAD
    core *owner;
    PyObject *user; /* owned: the target's own tracer in this thread, or NULL */
    bool installing;
    /* Open addressing by frame. A frame that dies without a return event (a greenlet that is
     * collected) leaves its entry, which the next frame at that address takes over. */
    frame_entry *frames;
    size_t mask, used;
    frame_entry *recent;
} thread_trace;

enum { FIRST_FRAMES = 64 };

static int
on_event(PyObject *trace, PyFrameObject *frame, int what, PyObject *arg);

static size_t
frame_slot(const PyFrameObject *frame, size_t mask)
{
    uint64_t address = (uint64_t)(uintptr_t)frame >> 4;
    return (size_t)((address * UINT64_C(0x9E3779B97F4A7C15)) >> 20) & mask;
}

static frame_entry *
find_entry(thread_trace *self, PyFrameObject *frame)
{
    if (self->recent != NULL && self->recent->frame == frame) {
        return self->recent;
    }
    if (self->frames == NULL) {
        return NULL;
    }
    for (size_t i = frame_slot(frame, self->mask);; i = (i + 1) & self->mask) {
        if (self->frames[i].frame == frame) {
            self->recent = &self->frames[i];
            return self->recent;
        }
        if (self->frames[i].frame == NULL) {
            return NULL;
        }
    }
}

static int
grow_frames(thread_trace *self)
{
    size_t slots = self->frames == NULL ? FIRST_FRAMES : (self->mask + 1) * 2;
    frame_entry *bigger = calloc(slots, sizeof(*bigger));
    if (bigger == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    for (size_t i = 0; self->frames != NULL && i <= self->mask; i++) {
        if (self->frames[i].frame != NULL) {
            size_t j = frame_slot(self->frames[i].frame, slots - 1);
            while (bigger[j].frame != NULL) {
                j = (j + 1) & (slots - 1);
            }
            bigger[j] = self->frames[i];
        }
    }
    free(self->frames);
    self->frames = bigger;
    self->mask = slots - 1;
    self->recent = NULL;
    return 0;
}

/* The entry of `frame`, made where there is none; NULL with an exception set. */
static frame_entry *
enter_frame(thread_trace *self, PyFrameObject *frame)
{
    frame_entry *entry = find_entry(self, frame);
    if (entry == NULL) {
        if ((self->used + 1) * 2 > self->mask && grow_frames(self) < 0) {
            return NULL;
        }
        size_t i = frame_slot(frame, self->mask);
        while (self->frames[i].frame != NULL) {
            i = (i + 1) & self->mask;
        }
        entry = &self->frames[i];
        entry->frame = frame;
        self->used++;
    }
    entry->hides_lines = false;
    self->recent = entry;
    return entry;
}

static void
leave_frame(thread_trace *self, frame_entry *entry)
{
    /* Close the gap: whatever was pushed on past this slot moves back. */
    size_t hole = (size_t)(entry - self->frames);
    for (size_t i = (hole + 1) & self->mask; self->frames[i].frame != NULL;
         i = (i + 1) & self->mask) {
        size_t home = frame_slot(self->frames[i].frame, self->mask);
        if (((i - home) & self->mask) >= ((i - hole) & self->mask)) {
            self->frames[hole] = self->frames[i];
            hole = i;
        }
    }
    self->frames[hole].frame = NULL;
    self->used--;
    self->recent = NULL;
}

/* What a code object needs besides its file: tables over its lines. */
static int
prepare_state(core *owner, code_state *state, PyCodeObject *code)
{
    const int resumable = CO_GENERATOR | CO_COROUTINE | CO_ASYNC_GENERATOR;
    if (owner->branch && (code->co_flags & resumable) != 0) {
        state->resumable = PyCode_GetCode(code);
        if (state->resumable == NULL) {
            return -1;
        }
    }
    state->first_line = code->co_firstlineno;
    return 0;
}

/* Makes room for `line` in the tables; false where they cannot cover it. */
static bool
cover_line(core *owner, code_state *state, int line)
{
    enum { MOST_LINES = 1 << 20 };
    int index = line - state->first_line;
    if (index < 0 || index >= MOST_LINES) {
        return false;
    }
    if (index < state->n_lines) {
        return true;
    }
    int lines = state->n_lines == 0 ? 16 : state->n_lines;
    while (lines <= index) {
        lines *= 2;
    }
    size_t size = owner->branch ? sizeof(int) : 1;
    void *old = owner->branch ? (void *)state->came_from : (void *)state->seen;
    char *table = realloc(old, (size_t)lines * size);
    if (table == NULL) {
        return false; /* each line is then looked up in the file's tables: slower, not wrong */
    }
    memset(table + (size_t)state->n_lines * size, 0, (size_t)(lines - state->n_lines) * size);
    if (owner->branch) {
        state->came_from = (int *)table;
    }
    else {
        state->seen = (uint8_t *)table;
    }
    state->n_lines = lines;
    return true;
}

static void
tell_line(core *owner, frame_entry *entry, int line)
{
    code_state *state = entry->state;
    int index = line - state->first_line;
    if (owner->branch) {
        int from = entry->last_line;
        entry->last_line = line;
        if (index >= 0 && index < state->n_lines && state->came_from[index] == from && from != 0) {
            return;
        }
        bool stored = from != 0 ? facts_arc(state->file, from, line)
                                : facts_line(state->file, line);
        if (stored && from != 0 && cover_line(owner, state, line)) {
            state->came_from[index] = from;
        }
    }
    else {
        if (index >= 0 && index < state->n_lines && state->seen[index]) {
            return;
        }
        if (facts_line(state->file, line) && cover_line(owner, state, line)) {
            state->seen[index] = 1;
        }
    }
}

static code_state *
state_for(core *owner, PyFrameObject *frame, PyCodeObject *code)
{
    code_state *state = core_state_of(owner, code);
    if (state == NULL) {
        PyObject *globals = PyFrame_GetGlobals(frame); /* owned */
        source_file *file = core_file_of(owner, code, globals);
        Py_DECREF(globals);
        if (file != NULL) {
            state = core_add_state(owner, code, file);
            if (state != NULL && prepare_state(owner, state, code) < 0) {
                state = NULL;
            }
        }
    }
    return state;
}

static int
on_call(thread_trace *self, PyFrameObject *frame)
{
    PyCodeObject *code = PyFrame_GetCode(frame); /* owned */
    code_state *state = state_for(self->owner, frame, code);
    frame_entry *entry = NULL;
    if (state != NULL || !PyErr_Occurred()) {
        entry = enter_frame(self, frame);
    }
    if (entry != NULL) {
        entry->state = state;
        entry->last_line = -code->co_firstlineno;
        if (state != NULL && state->resumable != NULL) {
            /* Calls are resumptions too: the argument of RESUME tells them apart. */
            int at = PyFrame_GetLasti(frame);
            if (PyBytes_AS_STRING(state->resumable)[at + 1] != 0) {
                entry->last_line = PyFrame_GetLineNumber(frame);
            }
        }
    }
    Py_DECREF(code);
    return entry != NULL ? 0 : -1;
}

static int
on_line(thread_trace *self, PyFrameObject *frame)
{
    frame_entry *entry = find_entry(self, frame);
    if (entry == NULL) {
        /* The frame was running before its thread was traced: where its line came from is not
         * known, and nothing is claimed about it. */
        PyCodeObject *code = PyFrame_GetCode(frame); /* owned */
        code_state *state = state_for(self->owner, frame, code);
        Py_DECREF(code);
        if (state == NULL && PyErr_Occurred()) {
            return -1;
        }
        entry = enter_frame(self, frame);
        if (entry == NULL) {
            return -1;
        }
        entry->state = state;
        entry->last_line = 0;
    }
    if (entry->state != NULL) {
        tell_line(self->owner, entry, PyFrame_GetLineNumber(frame));
    }
    return 0;
}

/* Is the return event of `frame` a yield? */
static bool
yields(const code_state *state, PyFrameObject *frame)
{
    if (state->resumable == NULL) {
        return false;
    }
    Py_ssize_t size = PyBytes_GET_SIZE(state->resumable);
    Py_ssize_t at = PyFrame_GetLasti(frame);
    if (at == size - 2) {
        return false;
    }
    if (!COMPAT_LASTI_AT_RESUME) {
        at += 2;
    }
    return at >= 0 && at < size && (uint8_t)PyBytes_AS_STRING(state->resumable)[at] == RESUME;
}

/* Is the exception in `arg`, at the instruction `at`, what its line says (raise, a finally that
 * goes on) or how a loop or an await ends? */
static bool
exception_is_flow(PyObject *bytes, int at, PyObject *arg)
{
    const uint8_t *ops = (const uint8_t *)PyBytes_AS_STRING(bytes);
    if (at < 0 || at >= PyBytes_GET_SIZE(bytes)) {
        return false;
    }
    if (ops[at] == RAISE_VARARGS || ops[at] == RERAISE) {
        return true;
    }
    if (arg == NULL || !PyTuple_Check(arg) || PyTuple_GET_SIZE(arg) == 0) {
        return false;
    }
    PyObject *type = PyTuple_GET_ITEM(arg, 0);
    if (!PyErr_GivenExceptionMatches(type, PyExc_StopIteration) &&
        !PyErr_GivenExceptionMatches(type, PyExc_StopAsyncIteration)) {
        return false;
    }
    /* While it waits for another frame, a frame's position is the SEND or a little after it. */
#ifdef END_SEND
    if (ops[at] == END_SEND) {
        return true;
    }
#endif
    for (int back = at; back >= 0 && back >= at - 6; back -= 2) {
        if (ops[back] == FOR_ITER || ops[back] == SEND || ops[back] == GET_ANEXT) {
            return true;
        }
    }
    return false;
}

/* An exception that interrupts a line decides no branch of it: where control goes next is no
 * outcome of that line. Not so where the exception is what the line says (raise, a finally that
 * goes on) or how a loop ends. */
static int
on_exception(thread_trace *self, PyFrameObject *frame, PyObject *arg)
{
    frame_entry *entry = find_entry(self, frame);
    if (entry == NULL || entry->state == NULL || !self->owner->branch) {
        return 0;
    }
    PyCodeObject *code = PyFrame_GetCode(frame); /* owned */
    PyObject *bytes = PyCode_GetCode(code);      /* owned; cached by the code object */
    Py_DECREF(code);
    if (bytes == NULL) {
        return -1;
    }
    bool keeps_line = exception_is_flow(bytes, PyFrame_GetLasti(frame), arg);
    Py_DECREF(bytes);
    if (!keeps_line) {
        entry->last_line = 0;
    }
    return 0;
}

static void
on_return(thread_trace *self, PyFrameObject *frame)
{
    frame_entry *entry = find_entry(self, frame);
    if (entry == NULL) {
        return;
    }
    code_state *state = entry->state;
    if (state != NULL && self->owner->branch && entry->last_line != 0 && !yields(state, frame)) {
        if (COMPAT_RETURN_NAMES_LINE) {
            int line = PyFrame_GetLineNumber(frame);
            if (line > 0 && line != entry->last_line) {
                tell_line(self->owner, entry, line);
            }
        }
        facts_arc(state->file, entry->last_line, -state->first_line);
    }
    leave_frame(self, entry);
}

/* Calling the target's own tracer, as sysmodule.c's trace_trampoline does. */

static const char *const event_names[] = {"call",   "exception",   "line",     "return",
                                          "c_call", "c_exception", "c_return", "opcode"};

static PyObject *
call_user(PyObject *callback, PyFrameObject *frame, int what, PyObject *arg)
{
#if COMPAT_LOCALS_SNAPSHOT
    if (PyFrame_FastToLocalsWithError(frame) < 0) {
        return NULL;
    }
#endif
    PyObject *result = NULL;
    PyObject *name = PyUnicode_InternFromString(event_names[what]);
    if (name != NULL) {
        result = PyObject_CallFunctionObjArgs(callback, (PyObject *)frame, name,
                                              arg != NULL ? arg : Py_None, NULL);
        Py_DECREF(name);
    }
#if COMPAT_LOCALS_SNAPSHOT
    PyFrame_LocalsToFast(frame, 1);
#endif
    return result;
}

static int
forward_to_user(thread_trace *self, PyFrameObject *frame, int what, PyObject *arg)
{
    PyObject *callback = NULL; /* owned */
    if (what == PyTrace_CALL) {
        callback = Py_NewRef(self->user);
    }
    else {
        callback = PyObject_GetAttrString((PyObject *)frame, "f_trace");
        if (callback == NULL) {
            return -1;
        }
        if (callback == Py_None) {
            Py_DECREF(callback);
            return 0;
        }
    }
    PyObject *result = call_user(callback, frame, what, arg);
    Py_DECREF(callback);
    if (result == NULL) {
        /* A tracer that fails is taken off; ours stays. */
        PyObject *exception = compat_take_exception();
        Py_CLEAR(self->user);
        if (PyObject_SetAttrString((PyObject *)frame, "f_trace", Py_None) < 0) {
            PyErr_Clear(); /* the tracer's own exception is the one to report */
        }
        compat_restore_exception(exception);
        return -1;
    }
    int rc = 0;
    if (result != Py_None) {
        rc = PyObject_SetAttrString((PyObject *)frame, "f_trace", result);
    }
    Py_DECREF(result);
    return rc;
}

/* A target that switches the line events of a frame off switches them off for every trace
 * function. They are switched on again, and the target's tracer is spared them instead. */
static int
keep_lines(thread_trace *self, PyFrameObject *frame)
{
    PyObject *lines = PyObject_GetAttrString((PyObject *)frame, "f_trace_lines");
    int wanted = lines != NULL ? PyObject_IsTrue(lines) : -1;
    Py_XDECREF(lines);
    if (wanted == 0) {
        frame_entry *entry = find_entry(self, frame);
        if (entry != NULL && entry->state != NULL) {
            entry->hides_lines = true;
            return PyObject_SetAttrString((PyObject *)frame, "f_trace_lines", Py_True);
        }
    }
    return wanted < 0 ? -1 : 0;
}

static int
on_event(PyObject *trace, PyFrameObject *frame, int what, PyObject *arg)
{
    thread_trace *self = (thread_trace *)trace;
    bool lines_hidden = false;
    switch (what) {
    case PyTrace_CALL:
        if (on_call(self, frame) < 0) {
            return -1;
        }
        break;
    case PyTrace_LINE:
        if (on_line(self, frame) < 0) {
            return -1;
        }
        lines_hidden = self->recent != NULL && self->recent->hides_lines;
        break;
    case PyTrace_RETURN:
        on_return(self, frame);
        break;
    case PyTrace_EXCEPTION:
        if (on_exception(self, frame, arg) < 0) {
            return -1;
        }
        break;
    default:
        break;
    }
    if (self->user == NULL || lines_hidden) {
        return 0;
    }
    /* An exit of the target's tracer ends its tracing; this object must outlive the call. */
    Py_INCREF(trace);
    int rc = forward_to_user(self, frame, what, arg);
    if (rc == 0 && what != PyTrace_RETURN) {
        rc = keep_lines(self, frame);
    }
    Py_DECREF(trace);
    return rc;
}

static void
thread_trace_dealloc(PyObject *trace)
{
    thread_trace *self = (thread_trace *)trace;
    PyTypeObject *type = Py_TYPE(trace);
    free(self->frames);
    Py_XDECREF(self->user);
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

/* This thread's trace object where our trace function is the one in force; borrowed, or NULL. */
static thread_trace *
current_trace(void)
{
    PyThreadState *thread = PyThreadState_Get();
    return thread->c_tracefunc == on_event ? (thread_trace *)thread->c_traceobj : NULL;
}

/* Start tracing the calling thread. */
static int
trace_thread(core *self)
{
    thread_trace *trace = PyObject_New(thread_trace, self->thread_trace_type);
    if (trace == NULL) {
        return -1;
    }
    trace->owner = self;
    trace->user = NULL;
    trace->installing = false;
    trace->frames = NULL;
    trace->mask = trace->used = 0;
    trace->recent = NULL;
    PyEval_SetTrace(on_event, (PyObject *)trace);
    Py_DECREF(trace);
    return PyErr_Occurred() ? -1 : 0;
}

int
core_thread_begins(void)
{
    core *self = core_of_interpreter();
    if (self == NULL || self->thread_trace_type == NULL || current_trace() != NULL) {
        return 0;
    }
    return trace_thread(self);
}

static PyObject *
stand_in_settrace(PyObject *module, PyObject *tracer)
{
    core *self = core_of_interpreter();
    thread_trace *trace = current_trace();
    if (trace == NULL) {
        /* A thread that we do not trace, or one that a C tracer has taken over: ours first. */
        if (self == NULL || trace_thread(self) < 0 || (trace = current_trace()) == NULL) {
            return PyErr_Occurred() ? NULL
                                    : PyObject_CallOneArg(self->settrace, tracer);
        }
    }
    if (PySys_Audit("sys.settrace", NULL) < 0) {
        return NULL;
    }
    if (COMPAT_TRACER_NOT_REENTRANT && trace->installing) {
        /* CPython's own answer to a tracer that installs another one as it is dropped. */
        PyErr_SetString(PyExc_RuntimeError, "Cannot install a trace function while another trace "
                                            "function is being installed");
        return NULL;
    }
    PyObject *old = trace->user;
    trace->user = tracer != Py_None ? Py_NewRef(tracer) : NULL;
    trace->installing = true;
    Py_XDECREF(old);
    trace->installing = false;
    Py_RETURN_NONE;
}

static PyObject *
stand_in_gettrace(PyObject *module, PyObject *unused)
{
    thread_trace *trace = current_trace();
    if (trace != NULL) {
        return Py_NewRef(trace->user != NULL ? trace->user : Py_None);
    }
    core *self = core_of_interpreter();
    if (self == NULL) {
        Py_RETURN_NONE;
    }
    return PyObject_CallNoArgs(self->gettrace);
}

/* threading.settrace_all_threads (3.12): every thread that we trace gets the tracer. */
static PyObject *
stand_in_settrace_all_threads(PyObject *module, PyObject *tracer)
{
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
        if (thread->c_tracefunc == on_event) {
            rc = PyList_Append(traces, thread->c_traceobj);
        }
    }
    for (Py_ssize_t i = 0; rc == 0 && i < PyList_GET_SIZE(traces); i++) {
        thread_trace *trace = (thread_trace *)PyList_GET_ITEM(traces, i);
        PyObject *old = trace->user;
        trace->user = tracer != Py_None ? Py_NewRef(tracer) : NULL;
        Py_XDECREF(old);
    }
    Py_DECREF(traces);
    return rc == 0 ? Py_NewRef(Py_None) : NULL;
}

static PyMethodDef stand_ins[] = {
    {"settrace", stand_in_settrace, METH_O, NULL},
    {"gettrace", stand_in_gettrace, METH_NOARGS, NULL},
    {"_settraceallthreads", stand_in_settrace_all_threads, METH_O, NULL},
};

/* Put ours in the place of sys.`method`; the original, owned, or NULL (with an exception set
 * unless `optional` and it is not there). */
static PyObject *
stand_in(PyMethodDef *method, bool optional)
{
    PyObject *original = Py_XNewRef(PySys_GetObject(method->ml_name));
    if (original == NULL) {
        if (!optional) {
            PyErr_Format(PyExc_RuntimeError, "sys.%s is missing", method->ml_name);
        }
        return NULL;
    }
    PyObject *self = NULL, *module_name = NULL;
    if (PyCFunction_Check(original)) {
        PyCFunctionObject *function = (PyCFunctionObject *)original;
        method->ml_doc = function->m_ml->ml_doc;
        self = function->m_self;
        module_name = function->m_module;
    }
    PyObject *ours = PyCFunction_NewEx(method, self, module_name);
    if (ours == NULL || PySys_SetObject(method->ml_name, ours) < 0) {
        Py_XDECREF(ours);
        Py_DECREF(original);
        return NULL;
    }
    Py_DECREF(ours);
    return original;
}

int
settrace_start(core *self)
{
    self->settrace = stand_in(&stand_ins[0], false);
    self->gettrace = self->settrace != NULL ? stand_in(&stand_ins[1], false) : NULL;
    if (self->gettrace == NULL) {
        return -1;
    }
    self->settrace_all_threads = stand_in(&stand_ins[2], true);
    if (PyErr_Occurred()) {
        return -1;
    }
    self->thread_trace_type = (PyTypeObject *)PyType_FromSpec(&thread_trace_spec);
    if (self->thread_trace_type == NULL) {
        return -1;
    }
    return trace_thread(self);
}
