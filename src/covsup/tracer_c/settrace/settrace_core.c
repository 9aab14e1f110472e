/* settrace/settrace_core.c - execution events from a C trace function in every thread.
 *
 * The last line is kept for each frame, from its call event to its return event, and not for each
 * thread. So a greenlet that switches in the middle of a line, or a generator that is resumed by
 * another caller, cannot produce an arc between lines of two frames. The arcs are those of
 * coverage.py's C tracer.
 *
 * The target's own trace function is called from ours (settrace/thread_trace.h).
 *
 * Threads: each thread has a trace object of its own, which only that thread uses.
 * Must never know: adapters, the layout of the journal. */
#include "settrace/settrace_core.h"

#include "analysis/line_table.h"
#include "contexts/scopes.h"
#include "core/code_setup.h"
#include "core/interpreter.h"
#include "files/file_decision.h"
#include "monitoring/fired_events.h"
#include "monitoring/tool_guard.h"
#include "plugins/file_tracer.h"
#include "settrace/event_kinds.h"
#include "settrace/untraced_frames.h"
#include "settrace/line_tables.h"
#include "settrace/target_tracer.h"
#include "settrace/thread_trace.h"
#include "contexts/record.h"

/* A line ran that was recorded before. */
static inline void
recheck_after_repeat(core *owner, code_state *state)
{
    if (state->recheck_countdown > 0 && --state->recheck_countdown == 0) {
        untraced_recheck(owner, state);
    }
}

/* A line or arc was recorded that was new. */
static inline void
recheck_after_new(core *owner, code_state *state)
{
    if (state->reachable != NULL) {
        untraced_recheck(owner, state);
    }
}

/* Control reaches `line` in the frame of `entry`. Recording may run Python (the name of a task is
 * its context), and frames that run then can move entries of the table: look `entry` up again after
 * it. */
static void
record_frame_line(thread_trace *self, frame_entry *entry, int line)
{
    core *owner = self->owner;
    if (line >= NO_SOURCE_LINE) {
        return; /* control goes on as if from the line before it */
    }
    code_state *state = entry->state;
    PyFrameObject *frame = entry->frame;
    int index = line_index(state, line);
    if (owner->branch) {
        int from = entry->last_line;
        entry->last_line = line;
        if (index >= 0 && index < state->n_lines && state->last_origin[index] == from &&
            from != 0 && !owner->records_contexts) {
            recheck_after_repeat(owner, state);
            return;
        }
        bool stored = from != 0 ? core_record_arc(owner, state->file, from, line)
                                : core_record_line(owner, state->file, line);
        if (stored && from != 0 && !owner->records_contexts &&
            line_tables_cover(owner, state, line)) {
            state->last_origin[index] = from;
            recheck_after_repeat(owner, state);
            recheck_after_new(owner, state);
        } else if (!stored && recording_is_paused()) {
            entry = frame_table_find(&self->frames, frame);
            if (entry != NULL) {
                entry->last_line = 0; /* paused lines are not the origin of later arcs either */
            }
        }
    } else {
        if (index >= 0 && index < state->n_lines && state->seen[index] &&
            !owner->records_contexts) {
            recheck_after_repeat(owner, state);
            return;
        }
        if (core_record_line(owner, state->file, line) && !owner->records_contexts &&
            line_tables_cover(owner, state, line)) {
            state->seen[index] = 1;
            recheck_after_new(owner, state);
        }
    }
}

/* The state of `code`, which `frame` runs; NULL where it needs none, or with an exception set. */
static code_state *
state_for(core *owner, PyFrameObject *frame, PyCodeObject *code)
{
    code_state *state = code_state_of(owner, code);
    if (state == NULL && !owner->records_contexts && file_is_excluded(owner, code)) {
        return NULL;
    }
    if (state != NULL && !state->is_prepared) {
        /* The monitoring core made it, before this core took over. */
        return line_tables_prepare(owner, state, code) < 0 ? NULL : state;
    }
    if (state == NULL) {
        PyObject *globals = PyFrame_GetGlobals(frame); /* owned */
        state = code_setup(owner, code, globals, owner->records_contexts);
        Py_DECREF(globals);
        if (state != NULL && line_tables_prepare(owner, state, code) < 0) {
            state = NULL;
        }
    }
    return state;
}

/* Untrace the frame that has just had an event, if its events are useless. Was it? */
static bool
untrace_if_useless(thread_trace *self, frame_entry *entry)
{
    if (self->owner->stop_untraced == NULL || entry->scope_state != NULL) {
        return false;
    }
    const code_state *state = entry->state;
    /* An untraced frame gets no exception events either, so it must not handle exceptions. */
    if (state == NULL ||
        (state->fully_recorded && PyBytes_GET_SIZE(state->code->co_exceptiontable) == 0)) {
        if (untraced_begin_frame(self->owner, entry->frame)) {
            frame_table_remove(&self->frames, entry);
            return true;
        }
    }
    return false;
}

/* An entry for a frame that ran before its thread was traced. The line before is not known, so its
 * next line is recorded without an arc. NULL with an exception set. */
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
        entry->scope_state = NULL;
        entry->last_line = 0;
    }
    return entry;
}

#if COMPAT_FIRED_EVENTS
/* C code that `frame` called, which runs `code`, has fired the start of a function. */
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
        entry->scope_state = state != NULL && state->roles != 0 ? state : NULL;
        if (state != NULL && !is_measured(state)) {
            state = NULL;
        }
        entry->state = state;
        entry->last_line = exit_of(code);
        if (state != NULL && state->resumable != NULL) {
            /* A resumption has a call event too; RESUME's argument is then not 0. */
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
    code_state *scope_state = entry->scope_state;
    if (state == NULL && scope_state == NULL) {
        untrace_if_useless(self, entry);
    }
    if (scope_state != NULL) {
        scope_enter(self->owner, scope_state, frame); /* frames that run may move the entry */
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
    if (entry->scope_state != NULL && (entry->scope_state->roles & ROLES_OF_LINE) != 0) {
        scope_line(self->owner, entry->scope_state, frame);
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

/* An untraced frame gets its first event. Everything up to its current line is recorded. An entry
 * in the table belongs to an earlier frame at the same address. */
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
    entry->scope_state = NULL;
    entry->interrupted = false;
    entry->last_line = PyFrame_GetLineNumber(frame);
    return 0;
}

/* Where control goes after an exception has interrupted a line is no branch of that line, so no arc
 * begins there; except where the exception is control flow (event_is_control_flow). */
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
    bool keeps_line = event_is_control_flow(bytes, PyFrame_GetLasti(frame), arg);
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
    code_state *state = entry->state, *scope_state = entry->scope_state;
    if (state != NULL && state->resumable != NULL && event_is_yield(state->resumable, frame)) {
        if (scope_state != NULL) {
            scope_exit(self->owner, scope_state, frame);
        }
        return; /* the entry stays: throw() resumes the frame without a call event (3.11) */
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
    entry = frame_table_find(&self->frames, frame); /* recording may have moved it */
    if (entry != NULL) {
        frame_table_remove(&self->frames, entry);
    }
    if (scope_state != NULL) {
        scope_exit(self->owner, scope_state, frame);
    }
}

/* f_trace_lines = False turns the line events of a frame off for every trace function. Turn them on
 * again, and do not pass them to the target's. -1 with an exception set. */
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

/* Call the target's trace function, before the line is recorded: it may set f_lineno, and then the
 * line does not run. */
static int
forward(thread_trace *self, PyFrameObject *frame, int what, PyObject *arg)
{
    frame_entry *entry = frame_table_find(&self->frames, frame);
    if (what == PyTrace_LINE && entry != NULL && entry->hides_lines) {
        return 0;
    }
    int rc = thread_trace_forward(self, frame, what, arg);
    if (rc >= 0 && what != PyTrace_RETURN && keep_line_events(self, frame) < 0) {
        return -1;
    }
    if (rc == THREAD_TRACE_JUMPED) {
        entry = frame_table_find(&self->frames, frame); /* frames that ran may have moved it */
        if (entry != NULL) {
            entry->last_line = 0; /* no arc leads to where it jumped */
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
        frame_entry *entry = frame_table_find(&self->frames, frame);
        fired = entry != NULL && fired_owns_event(entry, what);
#endif
    } else if (self->owner->has_untraced_frames && untraced_end_frame(frame)) {
        was_untraced = true;
        rc = end_untraced(self, frame);
    }
    if (rc == 0 && self->target != NULL) {
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
settrace_on_thread_start(void)
{
    core *self = interpreter_core();
    if (self == NULL || self->settrace_event == NULL || thread_trace_is_active(self)) {
        return 0;
    }
    return thread_trace_start(self);
}

void
settrace_measure_frame(core *self, PyFrameObject *frame)
{
    if (self->branch && thread_trace_is_active(self)) {
        thread_trace *trace = (thread_trace *)PyThreadState_Get()->c_traceobj;
        frame_entry *entry = frame_table_find(&trace->frames, frame);
        if (entry != NULL && entry->state != NULL) {
            entry->last_line = PyFrame_GetLineNumber(frame);
        }
    }
}

/* Frames of this thread may have run unseen: record the lines that they are on. */
static void
record_positions(thread_trace *self)
{
    PyFrameObject *frame = (PyFrameObject *)Py_XNewRef((PyObject *)PyEval_GetFrame());
    while (frame != NULL) {
        frame_entry *entry = frame_table_find(&self->frames, frame);
        int line = PyFrame_GetLineNumber(frame);
        if (entry != NULL && entry->state != NULL && entry->state->claim == NULL && line > 0 &&
            entry->last_line != line) {
            entry->last_line = 0; /* it is not known where control came from */
            record_frame_line(self, entry, line);
        }
        PyFrameObject *back = PyFrame_GetBack(frame); /* owned */
        Py_DECREF(frame);
        frame = back;
    }
}

int
settrace_take_over(core *self)
{
    self->settrace_event = self->tracefunc = on_event;
    self->record_positions = record_positions;
    return thread_trace_start_all(self);
}

int
settrace_start(core *self)
{
    self->settrace_event = on_event;
    self->record_positions = record_positions;
    if (target_tracer_install(self, on_event) < 0) {
        return -1;
    }
#if COMPAT_MONITORING
    self->monitoring = Py_XNewRef(PySys_GetObject("monitoring"));
    if (self->monitoring != NULL && tool_guard_measure_callbacks(self) < 0) {
        return -1;
    }
#endif
    /* After a late start the target may trace the thread already. */
    PyObject *trace = NULL;
    int rc = thread_trace_keep(self, &trace);
    Py_XDECREF(trace);
    return rc;
}
