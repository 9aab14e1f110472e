/* monitoring/monitoring_core.c - execution events from sys.monitoring (3.12 and later).
 *
 * Code objects announce themselves by PY_START; only the measured ones get events of their own.
 * A LINE event is disabled once its line is told. A branch is disabled once every outcome that
 * only its event can tell is told. No stack is kept: an event names its code and offset, so
 * threads, greenlets and generators cannot mix anything up.
 *
 * Threads: callbacks run in any thread of the interpreter, with its GIL. What they change in a
 * code's flow only ever goes from "to tell" to "told". Must never know: adapters, the layout of the
 * journal. */
#include "core/code_state.h"

#if COMPAT_MONITORING

#include "contexts/scopes.h"
#include "analysis/bytecode.h"
#include "analysis/line_table.h"
#include "monitoring/fired_events.h"
#include "monitoring/tool.h"
#include "plugins/file_tracer.h"
#include "recorded/code_recorded.h"
#include "settrace/target_tracer.h"

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

static PyObject *
told(core *self, code_state *state, bool stored)
{
    /* What could not be stored is offered again by the next event. What is told in one context may
     * have to be told in another, by whichever flow runs here next: nobody says when flows switch,
     * so the events stay on while there are contexts, but where it is certain
     * (recorded/code_recorded.h). */
    if (!stored || (self->records_contexts && !state->dormant)) {
        Py_RETURN_NONE;
    }
    state->events_disabled = true;
    return disable(self);
}

/* The same for a LINE event; that of the first line tells when a frame begins. */
static PyObject *
disable_line_if_recorded(core *self, code_state *state, int line, bool stored)
{
    /* A LINE event that is disabled takes with it, this once, the INSTRUCTION event of the same
     * place that another tool wants, which would come next (3.12). */
    if (self->target_has_instructions || (state->dormant && line == state->here->body_line)) {
        Py_RETURN_NONE;
    }
    return told(self, state, stored);
}

/* The context that an event of `state` belongs to. -1: exception set. */
static int
context_of_event(core *self, code_state *state, context_recorded **context, uint32_t *id)
{
    *context = current_context(self);
    *id = *context != NULL ? context_recorded_id(*context) : 0;
    return state->dormant && state->here->in != *id ? monitoring_wake_code(self, state) : 0;
}

/* An event of claimed code: never disabled, since the plugin may say something else each time. */
static PyObject *
asked(core *self, const code_state *state, int rc)
{
    if (rc < 0) {
        return NULL;
    }
    return state->claim->off && state->roles == 0 ? disable(self) : Py_NewRef(Py_None);
}

/* A frame of claimed code starts, and with it perhaps a line of which no LINE event tells. */
static PyObject *
start_claimed(core *self, code_state *state)
{
    PyFrameObject *frame = PyEval_GetFrame(); /* borrowed */
    int rc = 0;
    if (state->roles != 0) {
        scope_enter(self, state, frame);
    }
    if (frame != NULL && !state->claim->off) {
        rc = plugin_frame_start(self, state, frame, false);
        if (rc == 0 && code_resume_line(state->code) != 0) {
            rc = plugin_frame_line(self, state, frame);
        }
    }
    return asked(self, state, rc);
}

/* A loop on one line begins that line again, as trace functions see it. */
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
    return asked(self, state, frame != NULL ? plugin_frame_line(self, state, frame) : 0);
}

/* Make the state of a code object that was not seen before; NULL where nothing is wanted of it, or
 * with an exception set. */
static code_state *
new_state(core *self, PyCodeObject *code, PyObject *globals)
{
    file_disposition as = {0};
    const char *key_variable = NULL;
    bool measured = core_file_disposition(self, code, globals, &as);
    unsigned roles = PyErr_Occurred() ? 0 : scope_roles(self, code, measured, &key_variable);
    code_state *state = measured || roles != 0 ? code_state_add(self, code, as) : NULL;
    if (state != NULL) {
        state->roles = roles;
        state->key_variable = key_variable;
    }
    return state;
}

/* The state of `code`, which runs with `globals`; from now on it has the events of its own.
 * `*found` is NULL where nothing is wanted of it. -1 with an exception set. */
static int
state_with_events(core *self, PyCodeObject *code, PyObject *globals, bool by_event,
                  code_state **found)
{
    code_state *state = code_state_of(self, code);
    *found = NULL;
    if (state == NULL && by_event && !core_is_excluded(self, code) && !fired_is_executed(code)) {
        PyObject *filename = Py_NewRef(code->co_filename); /* owned */
        fired_note_source(self, filename);
        Py_DECREF(filename);
        return 0;
    }
    if (state == NULL && (state = new_state(self, code, globals)) == NULL) {
        return PyErr_Occurred() ? -1 : 0;
    }
    if (state->file != NULL && state->flow == NULL &&
        (state->flow = branch_table_new(code, self->branch)) == NULL) {
        return -1;
    }
    if (!state->watched) {
        if (monitoring_set_local_events(self, state) < 0) {
            return -1;
        }
        state->watched = true;
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
        return disable(self); /* what a C extension passes off as code has no bytecode */
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
    /* A first statement on the line of the definition itself has begun already, and from 3.13
     * on no LINE event says so (cpython #155992). */
    int line = state->file != NULL ? code_resume_line(code) : 0;
    if (line == 0 && state->roles == 0) {
        return disable(self);
    }
    state->start_disabled = true;
    if (state->roles != 0) {
        scope_enter(self, state, PyEval_GetFrame());
        if (line == 0) {
            return told(self, state, true);
        }
    }
    return told(self, state, core_record_line(self, state->file, line));
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
        return told(self, state, true);
    }
    int line = (int)PyLong_AsLong(args[1]);
    if (line >= NO_SOURCE_LINE || (line <= 0 && state->claim == NULL)) {
        return disable(self); /* of a line table that was made by hand */
    }
    if (target_tracer_is_tracing(self)) {
        /* The target's tracer was called first, and may have made the frame go on elsewhere. */
        PyFrameObject *frame = PyEval_GetFrame(); /* borrowed */
        if (frame != NULL && PyFrame_GetLineNumber(frame) != line) {
            Py_RETURN_NONE;
        }
    }
    if (state->claim != NULL) {
        PyFrameObject *frame = PyEval_GetFrame(); /* borrowed */
        return asked(self, state, frame != NULL ? plugin_frame_line(self, state, frame) : 0);
    }
    context_recorded *context;
    uint32_t id;
    if (context_of_event(self, state, &context, &id) < 0) {
        return NULL;
    }
    if (self->records_contexts) {
        if (code_recorded_has_line(state, id, line)) {
            code_recorded_note_repeat(self, state, id);
            return disable_line_if_recorded(self, state, line, true);
        }
        if (state->here == NULL) {
            code_recorded_make(self, state);
        }
    }
    bool stored = record_line_in(context, state->file, line);
    const branch_table *flow = state->flow;
    const line_arc *target = NULL;
    bool shared = false;
    if (flow != NULL && (flow->unique_lines >> ((unsigned)line % 64)) & 1) {
        target = line_arc_of_line(flow, line);
    }
    if (flow != NULL && target == NULL && (flow->shared_lines >> ((unsigned)line % 64)) & 1) {
        /* Only where the line has more than one start, the frame (which has to be made an object)
         * is asked which of them this is. */
        PyFrameObject *frame = PyEval_GetFrame(); /* borrowed */
        target = frame != NULL ? line_arc_at(flow, PyFrame_GetLasti(frame)) : NULL;
        shared = true;
    }
    if (target != NULL) {
        stored = record_arc_in(context, state->file, target->from,
                               target->to != 0 ? target->to : line) &&
                 stored;
    }
    if (stored && !shared && self->records_contexts) {
        code_recorded_add_line(state, id, line);
    }
    return disable_line_if_recorded(self, state, line, stored);
}

/* The outcome that the frame's next event tells, and the line that it is an outcome of. Whatever
 * happens in between (the name of an exception may be the last to hold an object) happens in other
 * frames. Frames are only compared. */
static _Thread_local struct {
    const PyFrameObject *frame;
    const code_state *state;
    int line;
} later;

static void
defer_arc(const code_state *state, int line)
{
    later.frame = PyEval_GetFrame(); /* borrowed */
    later.state = state;
    later.line = line;
}

static void
record_deferred_arc(const code_state *state, int to, context_recorded *context)
{
    const PyFrameObject *frame = PyEval_GetFrame(); /* borrowed */
    if (frame == NULL || later.frame != frame || later.state != state || to == 0) {
        later.frame = NULL;
    } else if (to != ARC_PENDING) { /* else this try statement ends a clause of another one */
        (void)record_arc_in(context, state->file, later.line, to);
        later.frame = NULL;
    }
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
        defer_arc(state, step->line);
        return told(self, state, false);
    }
    return told(self, state,
                step == NULL || record_arc_in(context, state->file, step->line, step->to));
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
        return asked(self, state, 0);
    }
    if (state == NULL || (state->flow == NULL && state->roles == 0)) {
        return disable(self);
    }
    int offset = (int)PyLong_AsLong(args[1]);
    PyObject *result = record_instruction_arc(
        self, state, state->flow != NULL ? return_arc_at(state->flow, offset) : NULL);
    if ((state->roles & ROLES_OF_RETURN) != 0) {
        scope_exit(self, state, PyEval_GetFrame());
    }
    return result;
}

/* A generator or coroutine goes on: one that is a test or a request, or one that was suspended when
 * measurement began. */
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

/* The same by throw() or close(): this event cannot be disabled. */
static PyObject *
on_throw(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    code_state *state;
    if (on_code_resumed(core_of_self(module), args[0], &state) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

/* It stops for a while, or its frame is left by an exception. */
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
    if (state == NULL || state->flow == NULL) {
        return disable(self);
    }
    return record_instruction_arc(self, state,
                                  instruction_arc_at(state->flow, (int)PyLong_AsLong(args[1])));
}

/* Tell the outcome of a branch, unless it was the last that was told of it in this context. False:
 * it could not be stored, or its events are wanted each time. */
static bool
record_outcome(core *self, code_state *state, branch_outcomes *branch, bool jumps,
               context_recorded *context, uint32_t id)
{
    int to = jumps ? branch->jumps_to : branch->falls_to;
    uint32_t *in = jumps ? &branch->jumps_context : &branch->falls_context;
    if (branch->line == ARC_PENDING) {
        record_deferred_arc(state, to, context);
        return false;
    }
    if (to == ARC_PENDING) {
        defer_arc(state, branch->line);
        return false;
    }
    if (to == 0) {
        return true;
    }
    if (self->records_contexts && *in == id) {
        code_recorded_note_repeat(self, state, id);
        return true;
    }
    bool stored = to > 0 && !self->branch ? record_line_in(context, state->file, to)
                                          : record_arc_in(context, state->file, branch->line, to);
    if (stored && self->records_contexts) {
        *in = id;
    }
    return stored;
}

#if COMPAT_BRANCH_SIDES

static PyObject *
on_outcome(PyObject *module, PyObject *const *args, bool jumps)
{
    core *self = core_of_self(module);
    code_state *state = code_state_of(self, (PyCodeObject *)args[0]);
    if (state == NULL || state->flow == NULL) {
        return disable(self);
    }
    context_recorded *context;
    uint32_t id;
    if (context_of_event(self, state, &context, &id) < 0) {
        return NULL;
    }
    branch_outcomes *branch = branch_outcomes_at(state->flow, (int)PyLong_AsLong(args[1]));
    return told(self, state,
                branch == NULL || record_outcome(self, state, branch, jumps, context, id));
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
    if (state == NULL || state->flow == NULL) {
        return disable(self);
    }
    branch_outcomes *branch = branch_outcomes_at(state->flow, (int)PyLong_AsLong(args[1]));
    if (branch == NULL) {
        return disable(self);
    }
    context_recorded *context;
    uint32_t id;
    if (context_of_event(self, state, &context, &id) < 0) {
        return NULL;
    }
    bool jumps = (int)PyLong_AsLong(args[2]) != branch->next;
    bool stored = record_outcome(self, state, branch, jumps, context, id);
    if (stored && !self->records_contexts) {
        *(jumps ? &branch->jumps_recorded : &branch->falls_recorded) = true;
    }
    if (self->records_contexts) {
        return told(self, state,
                    (branch->falls_to == 0 || branch->falls_context == id) &&
                        (branch->jumps_to == 0 || branch->jumps_context == id));
    }
    return told(self, state,
                (branch->falls_to == 0 || branch->falls_recorded) &&
                    (branch->jumps_to == 0 || branch->jumps_recorded));
}

#endif

monitoring_callback monitoring_callbacks[] = {
    {"PY_START", {"on_start", (PyCFunction)(void (*)(void))on_start, METH_FASTCALL, NULL}},
    {"LINE", {"on_line", (PyCFunction)(void (*)(void))on_line, METH_FASTCALL, NULL}},
    {"JUMP", {"on_jump", (PyCFunction)(void (*)(void))on_jump, METH_FASTCALL, NULL}},
    {"PY_RETURN", {"on_return", (PyCFunction)(void (*)(void))on_return, METH_FASTCALL, NULL}},
#if COMPAT_BRANCH_SIDES
    {"BRANCH_LEFT",
     {"on_branch_left", (PyCFunction)(void (*)(void))on_branch_left, METH_FASTCALL, NULL}},
    {"BRANCH_RIGHT",
     {"on_branch_right", (PyCFunction)(void (*)(void))on_branch_right, METH_FASTCALL, NULL}},
#else
    {"BRANCH", {"on_branch", (PyCFunction)(void (*)(void))on_branch, METH_FASTCALL, NULL}},
#endif
    {"PY_RESUME", {"on_resume", (PyCFunction)(void (*)(void))on_resume, METH_FASTCALL, NULL}},
    {"PY_THROW", {"on_throw", (PyCFunction)(void (*)(void))on_throw, METH_FASTCALL, NULL}},
    {"PY_YIELD", {"on_yield", (PyCFunction)(void (*)(void))on_leave, METH_FASTCALL, NULL}},
    {"PY_UNWIND", {"on_unwind", (PyCFunction)(void (*)(void))on_leave, METH_FASTCALL, NULL}},
    {"INSTRUCTION",
     {"on_instruction", (PyCFunction)(void (*)(void))on_instruction, METH_FASTCALL, NULL}},
};

const int monitoring_callback_count =
    sizeof(monitoring_callbacks) / sizeof(monitoring_callbacks[0]);

#endif
