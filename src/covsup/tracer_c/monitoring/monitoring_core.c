/* monitoring/monitoring_core.c - execution events from sys.monitoring (3.12 and later).
 *
 * PY_START is the one event that we have for all code; a measured code object then gets local
 * events of its own. A LINE event is disabled once its line is recorded, a branch event once each
 * outcome that only this event implies is recorded. There is no stack: an event has its code and
 * offset, so threads, greenlets and generators cannot be confused.
 *
 * PyEval_GetFrame() gives a borrowed reference. The running frame keeps its frame object as long as
 * it runs, and so for the whole of a callback, even where that runs Python.
 *
 * Threads: the callbacks run in any thread of the interpreter, with its GIL. They change a branch
 * table only from "not recorded" to "recorded".
 * Must never know: adapters, the layout of the journal. */
#include "monitoring/monitoring_core.h"

#if COMPAT_MONITORING

#include "analysis/branches.h"
#include "analysis/bytecode.h"
#include "analysis/line_table.h"
#include "contexts/scopes.h"
#include "core/code_setup.h"
#include "files/file_decision.h"
#include "monitoring/dormancy.h"
#include "monitoring/fired_events.h"
#include "monitoring/outcomes.h"
#include "monitoring/tool.h"
#include "monitoring/tool_guard.h"
#include "plugins/file_tracer.h"
#include "recorded/code_recorded.h"
#include "settrace/settrace_core.h"
#include "settrace/target_tracer.h"
#include "settrace/thread_trace.h"
#include "contexts/record.h"

/* The core of a callback's `self`; it is the first field of the module's state (module/module.c).
 */
static core *
core_of_self(PyObject *module)
{
    return *(core **)PyModule_GetState(module);
}

static PyObject *
disable(core *self)
{
    return Py_NewRef(self->disable);
}

/* What an event's callback returns; `stored`: what it implies is in the journal. */
static PyObject *
disable_if_recorded(core *self, code_state *state, bool stored)
{
    /* If it could not be stored, the next event tries again. With contexts events stay enabled,
     * except those of dormant code (monitoring/dormancy.h). */
    if (!stored || (self->records_contexts && !state->dormant)) {
        Py_RETURN_NONE;
    }
    state->events_disabled = true;
    return disable(self);
}

/* The same for a LINE event. In dormant code that of the first line stays enabled: it shows that a
 * frame begins. */
static PyObject *
disable_line_if_recorded(core *self, code_state *state, int line, bool stored)
{
    /* When a LINE event is disabled, CPython 3.12 skips the INSTRUCTION event of the same
     * instruction that would follow for another tool. */
    if (self->target_has_instructions || (state->dormant && line == state->recorded->body_line)) {
        Py_RETURN_NONE;
    }
    return disable_if_recorded(self, state, stored);
}

/* The context (NULL: none) in which an event of `state` came, and its id. -1 with an exception set.
 */
static int
context_of_event(core *self, code_state *state, context_recorded **context, uint32_t *id)
{
    *context = current_context(self);
    *id = *context != NULL ? context_recorded_id(*context) : 0;
    return state->dormant && state->recorded->context_id != *id ? dormancy_end(self, state) : 0;
}

/* What a callback returns for claimed code. Its events are never disabled, because the plugin may
 * give other lines each time. */
static PyObject *
claimed_event_result(core *self, const code_state *state, int rc)
{
    if (rc < 0) {
        return NULL;
    }
    return state->claim->disabled && state->roles == 0 ? disable(self) : Py_NewRef(Py_None);
}

/* A frame of claimed code starts, and with it perhaps a line that has no LINE event. */
static PyObject *
start_claimed(core *self, code_state *state)
{
    PyFrameObject *frame = PyEval_GetFrame(); /* borrowed */
    int rc = 0;
    if (state->roles != 0) {
        scope_enter(self, state, frame);
    }
    if (frame != NULL && !state->claim->disabled) {
        rc = plugin_frame_start(self, state, frame, false);
        if (rc == 0 && code_resume_line(state->code) != 0) {
            rc = plugin_frame_line(self, state, frame);
        }
    }
    return claimed_event_result(self, state, rc);
}

/* For trace functions, a loop on one line begins that line again at each turn. */
static PyObject *
on_jump(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    core *self = core_of_self(module);
    PyCodeObject *code = (PyCodeObject *)args[0];
    code_state *state = code_state_of(self, code);
    int from = (int)PyLong_AsLong(args[1]), to = (int)PyLong_AsLong(args[2]);
    if (state == NULL || state->claim == NULL || to >= from ||
        PyCode_Addr2Line(code, to) != PyCode_Addr2Line(code, from)) {
        return disable(self);
    }
    PyFrameObject *frame = PyEval_GetFrame(); /* borrowed */
    return claimed_event_result(self, state,
                                frame != NULL ? plugin_frame_line(self, state, frame) : 0);
}

/* The state of `code`, which runs with `globals`; its local events are set. `*found` is NULL where
 * it needs none. `by_event`: an event of `code` has just come. -1 with an exception set. */
static int
state_with_events(core *self, PyCodeObject *code, PyObject *globals, bool by_event,
                  code_state **found)
{
    code_state *state = code_state_of(self, code);
    *found = NULL;
    if (state == NULL && by_event && !file_is_excluded(self, code) && !fired_is_executed(code)) {
        PyObject *filename = Py_NewRef(code->co_filename); /* owned */
        fired_note_source(self, filename);
        Py_DECREF(filename);
        return 0;
    }
    if (state == NULL && (state = code_setup(self, code, globals, true)) == NULL) {
        return PyErr_Occurred() ? -1 : 0;
    }
    if (state->file != NULL && state->branches == NULL &&
        (state->branches = branch_table_new(code, self->branch)) == NULL) {
        return -1;
    }
    if (!state->has_local_events) {
        if (monitoring_set_local_events(self, state) < 0) {
            return -1;
        }
        state->has_local_events = true;
    }
    *found = state;
    return 0;
}

int
monitoring_measure_running(core *self, PyCodeObject *code, PyObject *globals)
{
    code_state *state;
    return state_with_events(self, code, globals, false, &state);
}

static PyObject *
on_start(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    core *self = core_of_self(module);
    if (!PyCode_Check(args[0])) {
        return disable(self); /* C code may pass any object as its code */
    }
    PyCodeObject *code = (PyCodeObject *)args[0];
    code_state *state;
    if (state_with_events(self, code, PyEval_GetGlobals(), true, &state) < 0) {
        return NULL;
    }
    if (state == NULL) {
        return disable(self);
    }
    if (state->claim != NULL) {
        return start_claimed(self, state);
    }
    /* A first statement on the line of the definition has no LINE event from 3.13 on
     * (https://github.com/python/cpython/issues/155992). */
    int line = state->file != NULL ? code_resume_line(code) : 0;
    if (line == 0 && state->roles == 0) {
        return disable(self);
    }
    state->start_disabled = true;
    if (state->roles != 0) {
        scope_enter(self, state, PyEval_GetFrame());
        if (line == 0) {
            return disable_if_recorded(self, state, true);
        }
    }
    return disable_if_recorded(self, state, core_record_line(self, state->file, line));
}

static PyObject *
on_line(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    core *self = core_of_self(module);
    code_state *state = code_state_of(self, (PyCodeObject *)args[0]);
    if (state == NULL) {
        return disable(self);
    }
    if ((state->roles & ROLES_OF_LINE) != 0) {
        scope_line(self, state, PyEval_GetFrame());
    }
    if (!is_measured(state)) {
        return disable_if_recorded(self, state, true);
    }
    int line = (int)PyLong_AsLong(args[1]);
    if (line >= NO_SOURCE_LINE || (line <= 0 && state->claim == NULL)) {
        return disable(self); /* a line table that was made by hand */
    }
    if (thread_trace_is_active(self)) {
        /* The target's tracer was called first, and may have set f_lineno to another line. */
        PyFrameObject *frame = PyEval_GetFrame(); /* borrowed */
        if (frame != NULL && PyFrame_GetLineNumber(frame) != line) {
            Py_RETURN_NONE;
        }
    }
    if (state->claim != NULL) {
        PyFrameObject *frame = PyEval_GetFrame(); /* borrowed */
        return claimed_event_result(self, state,
                                    frame != NULL ? plugin_frame_line(self, state, frame) : 0);
    }
    context_recorded *context;
    uint32_t id;
    if (context_of_event(self, state, &context, &id) < 0) {
        return NULL;
    }
    if (self->records_contexts) {
        if (code_recorded_has_line(state, id, line)) {
            dormancy_note_repeat(self, state, id);
            return disable_line_if_recorded(self, state, line, true);
        }
        if (state->recorded == NULL) {
            code_recorded_make(self, state);
        }
    }
    bool stored = record_line_in(context, state->file, line);
    const branch_table *branches = state->branches;
    const line_arc *arc = NULL;
    bool shared = false;
    if (branches != NULL && (branches->unique_lines >> ((unsigned)line % 64)) & 1) {
        arc = line_arc_of_line(branches, line);
    }
    if (branches != NULL && arc == NULL && (branches->shared_lines >> ((unsigned)line % 64)) & 1) {
        /* A LINE event has no offset, so ask the frame which of the line's starts this is. Only
         * here: the interpreter has to make a frame object for it. */
        PyFrameObject *frame = PyEval_GetFrame(); /* borrowed */
        arc = frame != NULL ? line_arc_at(branches, PyFrame_GetLasti(frame)) : NULL;
        shared = true;
    }
    if (arc != NULL) {
        stored =
            record_arc_in(context, state->file, arc->from, arc->to != 0 ? arc->to : line) && stored;
    }
    if (stored && !shared && self->records_contexts) {
        code_recorded_add_line(state, id, line);
    }
    return disable_line_if_recorded(self, state, line, stored);
}

static PyObject *
record_instruction_arc(core *self, code_state *state, const instruction_arc *step)
{
    context_recorded *context;
    uint32_t id;
    if (context_of_event(self, state, &context, &id) < 0) {
        return NULL;
    }
    if (step != NULL && step->to == ARC_PENDING) {
        outcome_defer(state, step->line);
        return disable_if_recorded(self, state, false);
    }
    return disable_if_recorded(
        self, state, step == NULL || record_arc_in(context, state->file, step->line, step->to));
}

static PyObject *
on_return(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    core *self = core_of_self(module);
    code_state *state = code_state_of(self, (PyCodeObject *)args[0]);
    if (state != NULL && state->claim != NULL) {
        PyFrameObject *frame = PyEval_GetFrame(); /* borrowed */
        if (frame != NULL) {
            plugin_frame_return(self, state, frame, false);
        }
        if ((state->roles & ROLES_OF_RETURN) != 0) {
            scope_exit(self, state, frame);
        }
        return claimed_event_result(self, state, 0);
    }
    if (state == NULL || (state->branches == NULL && state->roles == 0)) {
        return disable(self);
    }
    int offset = (int)PyLong_AsLong(args[1]);
    PyObject *result = record_instruction_arc(
        self, state, state->branches != NULL ? return_arc_at(state->branches, offset) : NULL);
    if ((state->roles & ROLES_OF_RETURN) != 0) {
        scope_exit(self, state, PyEval_GetFrame());
    }
    return result;
}

/* A generator or coroutine goes on. It has this event because it is a test or a request, or because
 * measurement began late. */
static int
on_code_resumed(core *self, PyObject *code, code_state **state)
{
    *state = NULL;
    if (PyCode_Check(code) &&
        state_with_events(self, (PyCodeObject *)code, PyEval_GetGlobals(), true, state) < 0) {
        return -1;
    }
    if (*state != NULL && ((*state)->roles & ROLES_OF_YIELD) != 0) {
        scope_enter(self, *state, PyEval_GetFrame());
    }
    return 0;
}

static PyObject *
on_resume(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    core *self = core_of_self(module);
    code_state *state;
    if (on_code_resumed(self, args[0], &state) < 0) {
        return NULL;
    }
    if (state == NULL || (state->roles & ROLES_OF_YIELD) == 0) {
        return disable(self);
    }
    Py_RETURN_NONE;
}

/* It goes on by throw() or close(). This event cannot be disabled. */
static PyObject *
on_throw(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    code_state *state;
    if (on_code_resumed(core_of_self(module), args[0], &state) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

/* It yields, or an exception leaves its frame. */
static PyObject *
on_leave(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    core *self = core_of_self(module);
    code_state *state = PyCode_Check(args[0]) ? code_state_of(self, (PyCodeObject *)args[0]) : NULL;
    if (state != NULL && (state->roles & ROLES_OF_YIELD) != 0) {
        scope_exit(self, state, PyEval_GetFrame());
    }
    Py_RETURN_NONE;
}

static PyObject *
on_instruction(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    core *self = core_of_self(module);
    code_state *state = code_state_of(self, (PyCodeObject *)args[0]);
    if (state == NULL || state->branches == NULL) {
        return disable(self);
    }
    return record_instruction_arc(self, state,
                                  instruction_arc_at(state->branches, (int)PyLong_AsLong(args[1])));
}

#if COMPAT_BRANCH_SIDES

static PyObject *
on_outcome(PyObject *module, PyObject *const *args, bool jumps)
{
    core *self = core_of_self(module);
    code_state *state = code_state_of(self, (PyCodeObject *)args[0]);
    if (state == NULL || state->branches == NULL) {
        return disable(self);
    }
    context_recorded *context;
    uint32_t id;
    if (context_of_event(self, state, &context, &id) < 0) {
        return NULL;
    }
    branch_outcomes *branch = branch_outcomes_at(state->branches, (int)PyLong_AsLong(args[1]));
    return disable_if_recorded(
        self, state, branch == NULL || outcome_record(self, state, branch, jumps, context, id));
}

static PyObject *
on_branch_left(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    return on_outcome(module, args, false);
}

static PyObject *
on_branch_right(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    return on_outcome(module, args, true);
}

#else

static PyObject *
on_branch(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    core *self = core_of_self(module);
    code_state *state = code_state_of(self, (PyCodeObject *)args[0]);
    if (state == NULL || state->branches == NULL) {
        return disable(self);
    }
    branch_outcomes *branch = branch_outcomes_at(state->branches, (int)PyLong_AsLong(args[1]));
    if (branch == NULL) {
        return disable(self);
    }
    context_recorded *context;
    uint32_t id;
    if (context_of_event(self, state, &context, &id) < 0) {
        return NULL;
    }
    bool jumps = (int)PyLong_AsLong(args[2]) != branch->next;
    bool stored = outcome_record(self, state, branch, jumps, context, id);
    if (stored && !self->records_contexts) {
        *(jumps ? &branch->jumps_recorded : &branch->falls_recorded) = true;
    }
    if (self->records_contexts) {
        return disable_if_recorded(self, state,
                                   (branch->falls_to == 0 || branch->falls_context == id) &&
                                       (branch->jumps_to == 0 || branch->jumps_context == id));
    }
    return disable_if_recorded(self, state,
                               (branch->falls_to == 0 || branch->falls_recorded) &&
                                   (branch->jumps_to == 0 || branch->jumps_recorded));
}

#endif

#define CALLBACK(event, function)                                                                  \
    {                                                                                              \
        event, { #function, (PyCFunction)(void (*)(void))function, METH_FASTCALL, NULL }           \
    }

/* CPython takes the definitions as not const; they are never written. */
static monitoring_callback callbacks[] = {
    CALLBACK("PY_START", on_start),
    CALLBACK("LINE", on_line),
    CALLBACK("JUMP", on_jump),
    CALLBACK("PY_RETURN", on_return),
#if COMPAT_BRANCH_SIDES
    CALLBACK("BRANCH_LEFT", on_branch_left),
    CALLBACK("BRANCH_RIGHT", on_branch_right),
#else
    CALLBACK("BRANCH", on_branch),
#endif
    CALLBACK("PY_RESUME", on_resume),
    CALLBACK("PY_THROW", on_throw),
    CALLBACK("PY_YIELD", on_leave),
    CALLBACK("PY_UNWIND", on_leave),
    CALLBACK("INSTRUCTION", on_instruction),
};

/* Contexts are recorded from now on: what is recorded outside of them is recorded once more in each
 * context. -1 with an exception set. */
static int
on_contexts_enabled(core *self)
{
    return dormancy_end_all(self) < 0 ? -1 : monitoring_restart_all(self);
}

int
monitoring_start(core *self)
{
    const int count = sizeof(callbacks) / sizeof(callbacks[0]);
    self->take_over = settrace_take_over;
    if (monitoring_start_tool(self, callbacks, count) < 0 || tool_guard_hide_tool(self) < 0) {
        return -1;
    }
    self->on_contexts_enabled = on_contexts_enabled;
    self->on_context_change = dormancy_end_all;
    return target_tracer_install(self, NULL);
}

#endif
