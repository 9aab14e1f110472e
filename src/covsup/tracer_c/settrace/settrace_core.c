/* settrace/settrace_core.c - execution events from a C trace function in every thread.
 *
 * What a frame did last belongs to the frame, whoever runs it: it is kept by frame from the
 * frame's call event to its return event, so greenlets that switch in the middle of a line and
 * generators that are resumed elsewhere cannot pair lines of two frames. The arcs are those of
 * coverage.py's C tracer.
 *
 * The target's own tracer is called from ours (settrace/target_tracer.c).
 *
 * Threads: each thread has a trace object of its own, which only that thread uses.
 * Must never know: adapters, the layout of the journal. */
#include "core/code_state.h"

#include "contexts/scopes.h"
#include "monitoring/fired_events.h"
#include "analysis/bytecode.h"
#include "analysis/line_table.h"
#include "plugins/file_tracer.h"
#include "settrace/untraced_frames.h"
#include "settrace/target_tracer.h"

#include <stdlib.h>
#include <string.h>

/* Code that has run so many of its lines again is worth the analysis of what is left to tell. */
enum { FIRST_RECHECK_INTERVAL = 256 };

/* What a code object needs besides its file: tables over its lines. */
static int
prepare_state(core *owner, code_state *state, PyCodeObject *code)
{
    const int resumable = CO_GENERATOR | CO_COROUTINE | CO_ASYNC_GENERATOR;
    if ((owner->branch || untraced_is_on(owner)) && (code->co_flags & resumable) != 0) {
        state->resumable = PyCode_GetCode(code);
        if (state->resumable == NULL) {
            return -1;
        }
    }
    state->first_line = code->co_firstlineno;
    state->is_prepared = true;
#if COMPAT_MONITORING
    state->is_type_params_scope = code_is_type_params_scope(code);
#endif
    if (untraced_is_on(owner)) {
        state->recheck_countdown = state->recheck_interval = FIRST_RECHECK_INTERVAL;
    }
    return 0;
}

/* A line ran again that is told already. */
static inline void
repeats(core *owner, code_state *state)
{
    if (state->recheck_countdown > 0 && --state->recheck_countdown == 0) {
        untraced_recheck(owner, state);
    }
}

/* A line or arc is told that was not. */
static inline void
recheck_after_new(core *owner, code_state *state)
{
    if (state->reach != NULL) {
        untraced_recheck(owner, state);
    }
}

/* Of how many lines the tables of `code` are made: most functions end on their last line. */
static int
first_size(PyCodeObject *code)
{
    enum { FIRST_LINES = 16, MAX_AT_ONCE = 256 };
    int last = 2 * ((int)Py_SIZE(code) - 1);
    long long lines = (long long)PyCode_Addr2Line(code, last) - code->co_firstlineno + 1;
    return lines > 0 && lines <= MAX_AT_ONCE ? (int)lines : FIRST_LINES;
}

/* The place of `line` in the tables; -1: it has none. */
static inline int
line_index(const code_state *state, int line)
{
    long long index = (long long)line - state->first_line;
    return index >= 0 && index <= INT_MAX ? (int)index : -1;
}

/* Makes room for `line` in the tables; false where they cannot cover it. */
static bool
cover_line(core *owner, code_state *state, int line)
{
    /* The tables grow with the code, wherever its lines are. */
    enum { MAX_LINES = 1 << 20, MIN_LINES = 256, LINES_PER_UNIT = 64 };
    const long long room = MIN_LINES + LINES_PER_UNIT * (long long)Py_SIZE(state->code);
    int index = line_index(state, line);
    if (index < 0 || index >= MAX_LINES || index >= room) {
        return false;
    }
    if (index < state->n_lines) {
        return true;
    }
    int lines = state->n_lines == 0 ? first_size(state->code) : state->n_lines;
    while (lines <= index) {
        lines *= 2;
    }
    size_t size = owner->branch ? sizeof(int) : 1;
    void *old = owner->branch ? (void *)state->last_origin : (void *)state->seen;
    char *table = realloc(old, (size_t)lines * size);
    if (table == NULL) {
        return false; /* each line is then looked up in the file's tables: slower, not wrong */
    }
    memset(table + (size_t)state->n_lines * size, 0, (size_t)(lines - state->n_lines) * size);
    if (owner->branch) {
        state->last_origin = (int *)table;
    } else {
        state->seen = (uint8_t *)table;
    }
    state->n_lines = lines;
    return true;
}

/* Telling may run Python (of a task's name, where tasks are contexts), which can run frames that
 * move entries of the table: `entry` is not used after it. */
static void
record_frame_line(thread_trace *self, frame_entry *entry, int line)
{
    core *owner = self->owner;
    if (line >= NO_SOURCE_LINE) {
        return; /* what comes next comes from the line before it */
    }
    code_state *state = entry->state;
    PyFrameObject *frame = entry->frame;
    int index = line_index(state, line);
    if (owner->branch) {
        int from = entry->last_line;
        entry->last_line = line;
        if (index >= 0 && index < state->n_lines && state->last_origin[index] == from &&
            from != 0 && !owner->records_contexts) {
            repeats(owner, state);
            return;
        }
        bool stored = from != 0 ? core_record_arc(owner, state->file, from, line)
                                : core_record_line(owner, state->file, line);
        if (stored && from != 0 && !owner->records_contexts && cover_line(owner, state, line)) {
            state->last_origin[index] = from;
            repeats(owner, state);
            recheck_after_new(owner, state);
        } else if (!stored && recording_is_paused()) {
            entry = frame_table_find(&self->frames, frame);
            if (entry != NULL) {
                entry->last_line = 0; /* nor does an arc that is told later begin there */
            }
        }
    } else {
        if (index >= 0 && index < state->n_lines && state->seen[index] &&
            !owner->records_contexts) {
            repeats(owner, state);
            return;
        }
        if (core_record_line(owner, state->file, line) && !owner->records_contexts &&
            cover_line(owner, state, line)) {
            state->seen[index] = 1;
            recheck_after_new(owner, state);
        }
    }
}

static code_state *
state_for(core *owner, PyFrameObject *frame, PyCodeObject *code)
{
    code_state *state = code_state_of(owner, code);
    if (state == NULL && !owner->records_contexts && core_is_excluded(owner, code)) {
        return NULL;
    }
    if (state != NULL && !state->is_prepared) {
        /* The monitoring core's, until it gave up. */
        return prepare_state(owner, state, code) < 0 ? NULL : state;
    }
    if (state == NULL) {
        PyObject *globals = PyFrame_GetGlobals(frame); /* owned */
        file_disposition as = {0};
        bool measured = core_file_disposition(owner, code, globals, &as);
        Py_DECREF(globals);
        const char *key_variable = NULL;
        unsigned roles = owner->records_contexts && !PyErr_Occurred()
                             ? scope_roles(owner, code, measured, &key_variable)
                             : 0;
        if (measured || roles != 0) {
            state = code_state_add(owner, code, as);
            if (state != NULL) {
                state->roles = roles;
                state->key_variable = key_variable;
            }
            if (state != NULL && prepare_state(owner, state, code) < 0) {
                state = NULL;
            }
        }
    }
    return state;
}

/* Have no more events in the frame that one was just sent for, if they are of no use; did it? */
static bool
untrace_if_useless(thread_trace *self, frame_entry *entry)
{
    if (!untraced_is_on(self->owner) || entry->flow != NULL) {
        return false;
    }
    const code_state *state = entry->state;
    /* Of an exception, too, no event would come: so not where one may be handled. */
    if (state == NULL ||
        (state->fully_recorded && PyBytes_GET_SIZE(state->code->co_exceptiontable) == 0)) {
        if (untraced_begin_frame(self->owner, entry->frame)) {
            frame_table_remove(&self->frames, entry);
            return true;
        }
    }
    return false;
}

/* The entry of a frame that was running before its thread was traced: where its line came from is
 * not known, and nothing is claimed about it. NULL with an exception set. */
static frame_entry *
add_running_frame(thread_trace *self, PyFrameObject *frame)
{
    PyCodeObject *code = PyFrame_GetCode(frame); /* owned */
    code_state *state = state_for(self->owner, frame, code);
    Py_DECREF(code);
    if (state == NULL && PyErr_Occurred()) {
        return NULL;
    }
    frame_entry *entry = frame_table_add(&self->frames, frame);
    if (entry != NULL) {
        entry->state = state != NULL && is_measured(state) ? state : NULL;
        entry->flow = NULL;
        entry->last_line = 0;
    }
    return entry;
}

#if COMPAT_FIRED_EVENTS
/* C code that `frame`, which runs `code`, called fires the event of a function's start. */
static int
on_fired_call(thread_trace *self, PyFrameObject *frame, PyCodeObject *code)
{
    frame_entry *entry = frame_table_find(&self->frames, frame);
    if (entry == NULL && (entry = add_running_frame(self, frame)) == NULL) {
        return -1;
    }
    self->sees_fired_events = true;
    fired_enter(entry);
    fired_note_caller(self->owner, code, entry->state != NULL);
    return 0;
}

/* Is an event that is sent for `frame`, and begins none, of a function of C code? */
static bool
is_fired(thread_trace *self, PyFrameObject *frame, int what)
{
    frame_entry *entry = frame_table_find(&self->frames, frame);
    return entry != NULL && fired_owns_event(entry, what);
}
#endif

static int
on_call(thread_trace *self, PyFrameObject *frame)
{
    PyCodeObject *code = PyFrame_GetCode(frame); /* owned */
#if COMPAT_FIRED_EVENTS
    if (!fired_frame_begins(frame, code)) {
        int rc = on_fired_call(self, frame, code);
        Py_DECREF(code);
        return rc;
    }
#endif
    code_state *state = state_for(self->owner, frame, code);
    frame_entry *entry = NULL;
    if (state != NULL || !PyErr_Occurred()) {
        entry = frame_table_add(&self->frames, frame);
    }
    if (entry != NULL) {
        entry->flow = state != NULL && state->roles != 0 ? state : NULL;
        if (state != NULL && !is_measured(state)) {
            state = NULL;
        }
        entry->state = state;
        entry->last_line = exit_of(code);
        if (state != NULL && state->resumable != NULL) {
            /* Calls are resumptions too: the argument of RESUME tells them apart. */
            int at = PyFrame_GetLasti(frame);
            if (PyBytes_AS_STRING(state->resumable)[at + 1] != 0) {
                entry->last_line = PyFrame_GetLineNumber(frame);
            }
        }
        if (entry->last_line <= 0) {
            entry->interrupted = false;
        }
    }
    Py_DECREF(code);
    if (entry == NULL) {
        return -1;
    }
    bool resumed = entry->last_line > 0;
    code_state *flow = entry->flow;
    if (state == NULL && flow == NULL) {
        untrace_if_useless(self, entry);
    }
    if (flow != NULL) {
        scope_enter(self->owner, flow, frame); /* may run frames that move the entry */
    }
    if (state != NULL && state->claim != NULL) {
        return plugin_frame_start(self->owner, state, frame, resumed);
    }
    return 0;
}

static int
on_line(thread_trace *self, PyFrameObject *frame)
{
    frame_entry *entry = frame_table_find(&self->frames, frame);
    if (entry == NULL) {
        entry = add_running_frame(self, frame);
        if (entry == NULL) {
            return -1;
        }
    }
    if (entry->flow != NULL && (entry->flow->roles & ROLES_OF_LINE) != 0) {
        scope_line(self->owner, entry->flow, frame);
        entry = frame_table_find(&self->frames, frame); /* frames that ran may have moved it */
        if (entry == NULL) {
            return 0;
        }
    }
    if (entry->state != NULL && entry->state->claim != NULL) {
        return plugin_frame_line(self->owner, entry->state, frame);
    }
    if (entry->state != NULL) {
        record_frame_line(self, entry, PyFrame_GetLineNumber(frame));
        entry = frame_table_find(&self->frames, frame);
    }
    if (entry != NULL) {
        untrace_if_useless(self, entry);
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
exception_is_control_flow(PyObject *bytes, int at, PyObject *arg)
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
#ifdef END_FOR
    if (ops[at] == END_FOR) { /* 3.13: the loop over a generator has jumped already */
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

/* The first event of a frame that had none until now: it has told all up to the line that it is on.
 * What there is about it is of an earlier frame at its address. */
static int
end_untraced(thread_trace *self, PyFrameObject *frame)
{
    PyCodeObject *code = PyFrame_GetCode(frame); /* owned */
    code_state *state = code_state_of(self->owner, code);
    Py_DECREF(code);
    frame_entry *entry = frame_table_add(&self->frames, frame);
    if (entry == NULL) {
        return -1;
    }
    entry->state = state != NULL && is_measured(state) ? state : NULL;
    entry->flow = NULL;
    entry->interrupted = false;
    entry->last_line = PyFrame_GetLineNumber(frame);
    return 0;
}

/* An exception that interrupts a line decides no branch of it: where control goes next is no
 * outcome of that line. Not so where the exception is what the line says (raise, a finally that
 * goes on) or how a loop ends. */
static int
on_exception(thread_trace *self, PyFrameObject *frame, PyObject *arg)
{
    frame_entry *entry = frame_table_find(&self->frames, frame);
    if (entry != NULL) {
        if (untrace_if_useless(self, entry)) {
            return 0;
        }
        entry->interrupted = true;
    }
    if (entry == NULL || entry->state == NULL || entry->state->claim != NULL ||
        !self->owner->branch) {
        return 0;
    }
    PyCodeObject *code = PyFrame_GetCode(frame); /* owned */
    PyObject *bytes = PyCode_GetCode(code);      /* owned; cached by the code object */
    Py_DECREF(code);
    if (bytes == NULL) {
        return -1;
    }
    bool keeps_line = exception_is_control_flow(bytes, PyFrame_GetLasti(frame), arg);
    Py_DECREF(bytes);
    entry = frame_table_find(&self->frames, frame);
    if (!keeps_line && entry != NULL) {
        entry->last_line = 0;
    }
    return 0;
}

static void
on_return(thread_trace *self, PyFrameObject *frame, bool raises)
{
    frame_entry *entry = frame_table_find(&self->frames, frame);
    if (entry == NULL) {
        return;
    }
    code_state *state = entry->state, *flow = entry->flow;
    if (state != NULL && yields(state, frame)) {
        if (flow != NULL) {
            scope_exit(self->owner, flow, frame);
        }
        return; /* kept: a throw() resumes it without a call event (3.11) */
    }
    if (state != NULL && state->claim != NULL) {
        plugin_frame_return(self->owner, state, frame, raises);
    } else if (state != NULL && self->owner->branch && entry->last_line != 0) {
        if (COMPAT_RETURN_NAMES_LINE) {
            int line = PyFrame_GetLineNumber(frame);
            if (line > 0 && line != entry->last_line) {
                record_frame_line(self, entry, line);
                entry = frame_table_find(&self->frames, frame);
            }
        }
        const int to = exit_of(state->code);
        if (!state->is_type_params_scope && to != 0 && entry != NULL) {
            core_record_arc(self->owner, state->file, entry->last_line, to);
        }
    }
    entry = frame_table_find(&self->frames, frame); /* telling may have moved it */
    if (entry != NULL) {
        frame_table_remove(&self->frames, entry);
    }
    if (flow != NULL) {
        scope_exit(self->owner, flow, frame);
    }
}

/* A target that switches the line events of a frame off switches them off for every trace
 * function. They are switched on again, and the target's tracer is spared them instead. */
static int
keep_line_events(thread_trace *self, PyFrameObject *frame)
{
    PyObject *lines = PyObject_GetAttrString((PyObject *)frame, "f_trace_lines");
    int wanted = lines != NULL ? PyObject_IsTrue(lines) : -1;
    Py_XDECREF(lines);
    if (wanted == 0) {
        frame_entry *entry = frame_table_find(&self->frames, frame);
        if (entry != NULL && entry->state != NULL) {
            entry->hides_lines = true;
            return PyObject_SetAttrString((PyObject *)frame, "f_trace_lines", Py_True);
        }
    }
    return wanted < 0 ? -1 : 0;
}

/* Let the target's tracer see the event first: it may make the frame go on elsewhere, and then the
 * line that was about to run does not. */
static int
forward(thread_trace *self, PyFrameObject *frame, int what, PyObject *arg)
{
    frame_entry *entry = frame_table_find(&self->frames, frame);
    if (what == PyTrace_LINE && entry != NULL && entry->hides_lines) {
        return 0;
    }
    int rc = target_tracer_forward(self, frame, what, arg);
    if (rc >= 0 && what != PyTrace_RETURN && keep_line_events(self, frame) < 0) {
        return -1;
    }
    if (rc == TARGET_TRACER_JUMPED) {
        entry =
            frame_table_find(&self->frames, frame); /* the tracer's own frames may have moved it */
        if (entry != NULL) {
            entry->last_line = 0; /* no branch leads to where it jumped */
        }
        return 0;
    }
    return rc;
}

static int
on_event(PyObject *trace, PyFrameObject *frame, int what, PyObject *arg)
{
    thread_trace *self = (thread_trace *)trace;
    int rc = 0;
    Py_INCREF(trace); /* the target's tracer may end the tracing of this thread */
    bool was_untraced = false;
    bool fired = false;
    if (what == PyTrace_CALL) {
        rc = on_call(self, frame);
#if COMPAT_FIRED_EVENTS
    } else if (self->sees_fired_events) {
        fired = is_fired(self, frame, what);
#endif
    } else if (self->owner->has_untraced_frames && untraced_end_frame(frame)) {
        was_untraced = true;
        rc = end_untraced(self, frame);
    }
    if (rc == 0 && self->user != NULL) {
        rc = forward(self, frame, what, arg);
    }
    switch (fired ? PyTrace_CALL : what) {
    case PyTrace_LINE:
        if (rc == 0 && !was_untraced) {
            rc = on_line(self, frame);
        }
        break;
    case PyTrace_RETURN:
        on_return(self, frame, arg == NULL);
        break;
    case PyTrace_EXCEPTION:
        if (rc == 0) {
            rc = on_exception(self, frame, arg);
        }
        break;
    default:
        break;
    }
    Py_DECREF(trace);
    return rc;
}

int
core_on_thread_start(void)
{
    core *self = interpreter_core();
    if (self == NULL || self->settrace_event == NULL || target_tracer_is_tracing(self)) {
        return 0;
    }
    return target_tracer_trace_thread(self);
}

void
settrace_measure_frame(core *self, PyFrameObject *frame)
{
    if (self->branch && target_tracer_is_tracing(self)) {
        thread_trace *trace = (thread_trace *)PyThreadState_Get()->c_traceobj;
        frame_entry *entry = frame_table_find(&trace->frames, frame);
        if (entry != NULL && entry->state != NULL) {
            entry->last_line = PyFrame_GetLineNumber(frame);
        }
    }
}

void
settrace_record_positions(thread_trace *self)
{
    PyFrameObject *frame = (PyFrameObject *)Py_XNewRef((PyObject *)PyEval_GetFrame());
    while (frame != NULL) {
        frame_entry *entry = frame_table_find(&self->frames, frame);
        int line = PyFrame_GetLineNumber(frame);
        if (entry != NULL && entry->state != NULL && entry->state->claim == NULL && line > 0 &&
            entry->last_line != line) {
            entry->last_line = 0; /* where it came from was not seen */
            record_frame_line(self, entry, line);
        }
        PyFrameObject *back = PyFrame_GetBack(frame); /* owned */
        Py_DECREF(frame);
        frame = back;
    }
}

int
settrace_trace_threads(core *self)
{
    return target_tracer_trace_all_threads(self);
}

int
settrace_take_over(core *self)
{
    self->settrace_event = self->tracefunc = on_event;
    return target_tracer_trace_all_threads(self);
}

int
settrace_start(core *self)
{
    self->settrace_event = on_event;
    if (target_tracer_install(self, on_event) < 0) {
        return -1;
    }
#if COMPAT_MONITORING
    self->monitoring = Py_XNewRef(PySys_GetObject("monitoring"));
    if (self->monitoring != NULL && monitoring_measure_callbacks(self) < 0) {
        return -1;
    }
#endif
    /* Where this start is late, the target may trace the thread already. */
    PyObject *trace = NULL;
    int rc = target_tracer_keep_ours(self, &trace);
    Py_XDECREF(trace);
    return rc;
}
