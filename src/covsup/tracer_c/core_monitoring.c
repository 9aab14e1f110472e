/* core_monitoring.c - execution events from sys.monitoring (3.12 and later).
 *
 * Code objects announce themselves by PY_START; only the measured ones get events of their own.
 * A LINE event is disabled once its line is told. A branch is disabled once every outcome that
 * only its event can tell is told. No stack is kept: an event names its code and offset, so
 * threads, greenlets and generators cannot mix anything up.
 *
 * Threads: callbacks run in any thread of the interpreter, several at once in a free-threaded
 * build. What they change in a code's flow only ever goes from "to tell" to "told".
 * Must never know: adapters, the layout of the journal. */
#include "core.h"

#if COMPAT_MONITORING

#include <stdlib.h>

#include "context_flows.h"
#include "journal.h"
#include "plugin.h"
#include "record.h"
#include "told_here.h"
#include "user_tracer.h"

/* Ids that no kind of tool is advised to use come first: nobody asks for them by name. */
static const int preferred_tools[] = {4, 3, 1, 5, 2, 0};

enum { TOOLS = 6 };

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
     * so the events stay on while there are contexts, but where it is certain (told_here.h). */
    if (!stored || (self->in_contexts && !state->asleep)) {
        Py_RETURN_NONE;
    }
    state->muted = true;
    return disable(self);
}

/* The same for a LINE event; that of the first line tells when a frame begins. */
static PyObject *
line_told(core *self, code_state *state, int line, bool stored)
{
    /* A LINE event that is disabled takes with it, this once, the INSTRUCTION event of the same
     * place that another tool wants, which would come next (3.12). */
    if (self->others_step || (state->asleep && line == state->here->body_line)) {
        Py_RETURN_NONE;
    }
    return told(self, state, stored);
}

/* The context that an event of `state` belongs to. -1: exception set. */
static int
context_of_event(core *self, code_state *state, told_context **context, uint32_t *id)
{
    *context = context_now(self);
    *id = *context != NULL ? told_id(*context) : 0;
    return state->asleep && state->here->in != *id ? told_here_wake(self, state) : 0;
}

static int
event_number(core *self, const char *name)
{
    PyObject *events = PyObject_GetAttrString(self->monitoring, "events");
    PyObject *value = events != NULL ? PyObject_GetAttrString(events, name) : NULL;
    int number = value != NULL ? (int)PyLong_AsLong(value) : -1;
    Py_XDECREF(value);
    Py_XDECREF(events);
    return number;
}

static int
set_local_events(core *self, int tool, PyCodeObject *code, int events)
{
    PyObject *result =
        PyObject_CallFunction(self->set_local_events, "iOi", tool, (PyObject *)code, events);
    Py_XDECREF(result);
    return result != NULL ? 0 : -1;
}

/* A second tool on a code object makes CPython forget which tool had INSTRUCTION events on it
 * (3.12 to 3.15): switched off and on again they are back. */
static int
restore_instruction_events(core *self, PyCodeObject *code)
{
    for (int tool = 0; tool < TOOLS; tool++) {
        if (tool == self->tool) {
            continue;
        }
        PyObject *value =
            PyObject_CallFunction(self->get_local_events, "iO", tool, (PyObject *)code);
        if (value == NULL) {
            if (!PyErr_ExceptionMatches(PyExc_ValueError)) {
                return -1;
            }
            PyErr_Clear(); /* an id that is not in use */
            continue;
        }
        int events = (int)PyLong_AsLong(value);
        Py_DECREF(value);
        if ((events & self->events.instruction) != 0 &&
            (set_local_events(self, tool, code, events & ~self->events.instruction) < 0 ||
             set_local_events(self, tool, code, events) < 0)) {
            return -1;
        }
    }
    return 0;
}

static int
watch_code(core *self, code_state *state)
{
    const flow *flow = state->flow;
    int events = is_measured(state) || (state->roles & ROLES_OF_LINE) != 0 ? self->events.line : 0;
    if (state->claim != NULL) {
        events |= self->events.py_return | self->events.jump;
    }
    if ((state->roles & ROLES_OF_RETURN) != 0) {
        events |= self->events.py_return;
    }
    if ((state->roles & ROLES_OF_YIELD) != 0) {
        events |= self->events.yield_and_resume;
    }
    if (flow != NULL) {
        if (flow->n_branches > 0) {
            events |= self->events.branch;
        }
        if (flow->n_returns > 0) {
            events |= self->events.py_return;
        }
        if (flow->n_steps > 0) {
            events |= self->events.instruction;
        }
    }
    if (set_local_events(self, self->tool, state->code, events) < 0) {
        return -1;
    }
    return self->others ? restore_instruction_events(self, state->code) : 0;
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
        flows_begin(self, state, frame);
    }
    if (frame != NULL && !state->claim->off) {
        rc = plugin_frame_starts(self, state, frame, false);
        if (rc == 0 && flow_resume_line(state->code) != 0) {
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
    code_state *state = core_state_of(self, code);
    int from = (int)PyLong_AsLong(args[1]), to = (int)PyLong_AsLong(args[2]);
    if (state == NULL || state->claim == NULL || to >= from ||
        PyCode_Addr2Line(code, to) != PyCode_Addr2Line(code, from)) {
        return disable(self);
    }
    PyFrameObject *frame = PyEval_GetFrame(); /* borrowed */
    return asked(self, state, frame != NULL ? plugin_frame_line(self, state, frame) : 0);
}

int
monitoring_watch_running(core *self, PyCodeObject *code, measured_as as)
{
    code_state *state = core_state_of(self, code);
    if (state == NULL && (state = core_add_state(self, code, as)) == NULL) {
        return -1;
    }
    if (state->flow == NULL && (state->flow = flow_new(code, self->branch)) == NULL) {
        return -1;
    }
    if (watch_code(self, state) < 0) {
        return -1;
    }
    state->watched = true;
    return 0;
}

static PyObject *
on_start(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    core *self = core_of_self(module);
    if (!PyCode_Check(args[0])) {
        return disable(self); /* what a C extension passes off as code has no bytecode */
    }
    PyCodeObject *code = (PyCodeObject *)args[0];
    code_state *state = core_state_of(self, code);
    if (state == NULL) {
        measured_as as = {0};
        const char *local = NULL;
        bool measured = core_file_of(self, code, PyEval_GetGlobals(), &as);
        unsigned roles = PyErr_Occurred() ? 0 : flows_roles(self, code, measured, &local);
        if (!measured && roles == 0) {
            return PyErr_Occurred() ? NULL : disable(self);
        }
        state = core_add_state(self, code, as);
        if (state == NULL) {
            return NULL;
        }
        state->roles = roles;
        state->local = local;
        if (state->claim != NULL && watch_code(self, state) < 0) {
            return NULL;
        }
        if (state->file != NULL && state->flow == NULL &&
            (state->flow = flow_new(code, self->branch)) == NULL) {
            return NULL;
        }
    }
    if (state->claim != NULL) {
        return start_claimed(self, state);
    }
    if (!state->watched) {
        if (watch_code(self, state) < 0) {
            return NULL;
        }
        state->watched = true;
    }
    /* A first statement on the line of the definition itself has begun already, and from 3.13
     * on no LINE event says so (cpython #155992). */
    int line = state->file != NULL ? flow_resume_line(code) : 0;
    if (line == 0 && state->roles == 0) {
        return disable(self);
    }
    state->start_muted = true;
    if (state->roles != 0) {
        flows_begin(self, state, PyEval_GetFrame());
        if (line == 0) {
            return told(self, state, true);
        }
    }
    return told(self, state, tell_line(self, state->file, line));
}

static PyObject *
on_line(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    core *self = core_of_self(module);
    code_state *state = core_state_of(self, (PyCodeObject *)args[0]);
    if (state == NULL) {
        return disable(self);
    }
    if ((state->roles & ROLES_OF_LINE) != 0) {
        flows_line(self, state, PyEval_GetFrame());
    }
    if (!is_measured(state)) {
        return told(self, state, true);
    }
    int line = (int)PyLong_AsLong(args[1]);
    if (user_tracer_is_tracing(self)) {
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
    told_context *context;
    uint32_t id;
    if (context_of_event(self, state, &context, &id) < 0) {
        return NULL;
    }
    if (self->in_contexts) {
        if (told_here_has(state, id, line)) {
            told_here_waste(self, state, id);
            return line_told(self, state, line, true);
        }
        if (state->here == NULL) {
            told_here_make(self, state);
        }
    }
    bool stored = tell_line_in(context, state->file, line);
    const flow *flow = state->flow;
    const flow_target *target = NULL;
    bool shared = false;
    if (flow != NULL && (flow->lone_lines >> (line % 64)) & 1) {
        target = flow_target_of_line(flow, line);
    }
    if (flow != NULL && target == NULL && (flow->shared_lines >> (line % 64)) & 1) {
        /* Only where the line has more than one start, the frame (which has to be made an object)
         * is asked which of them this is. */
        PyFrameObject *frame = PyEval_GetFrame(); /* borrowed */
        target = frame != NULL ? flow_target_at(flow, PyFrame_GetLasti(frame)) : NULL;
        shared = true;
    }
    if (target != NULL) {
        stored = tell_arc_in(context, state->file, target->from, line) && stored;
    }
    if (stored && !shared && self->in_contexts) {
        told_here_add(state, id, line);
    }
    return line_told(self, state, line, stored);
}

static PyObject *
tell_step(core *self, code_state *state, const flow_step *step)
{
    told_context *context;
    uint32_t id;
    if (context_of_event(self, state, &context, &id) < 0) {
        return NULL;
    }
    return told(self, state,
                step == NULL || tell_arc_in(context, state->file, step->line, step->to));
}

static PyObject *
on_return(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    core *self = core_of_self(module);
    code_state *state = core_state_of(self, (PyCodeObject *)args[0]);
    if (state != NULL && state->claim != NULL) {
        PyFrameObject *frame = PyEval_GetFrame(); /* borrowed */
        if (frame != NULL) {
            plugin_frame_returns(self, state, frame, false);
        }
        if ((state->roles & ROLES_OF_RETURN) != 0) {
            flows_end(self, state, frame);
        }
        return asked(self, state, 0);
    }
    if (state == NULL || (state->flow == NULL && state->roles == 0)) {
        return disable(self);
    }
    int offset = (int)PyLong_AsLong(args[1]);
    PyObject *result =
        tell_step(self, state, state->flow != NULL ? flow_return_at(state->flow, offset) : NULL);
    if ((state->roles & ROLES_OF_RETURN) != 0) {
        flows_end(self, state, PyEval_GetFrame());
    }
    return result;
}

/* A generator or coroutine that is a test or a request goes on. */
static PyObject *
on_resume(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    core *self = core_of_self(module);
    code_state *state = PyCode_Check(args[0]) ? core_state_of(self, (PyCodeObject *)args[0]) : NULL;
    if (state != NULL && (state->roles & ROLES_OF_YIELD) != 0) {
        flows_begin(self, state, PyEval_GetFrame());
    }
    Py_RETURN_NONE;
}

/* It stops for a while, or its frame is left by an exception. */
static PyObject *
on_leave(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    core *self = core_of_self(module);
    code_state *state = PyCode_Check(args[0]) ? core_state_of(self, (PyCodeObject *)args[0]) : NULL;
    if (state != NULL && (state->roles & ROLES_OF_YIELD) != 0) {
        flows_end(self, state, PyEval_GetFrame());
    }
    Py_RETURN_NONE;
}

static PyObject *
on_instruction(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    core *self = core_of_self(module);
    code_state *state = core_state_of(self, (PyCodeObject *)args[0]);
    if (state == NULL || state->flow == NULL) {
        return disable(self);
    }
    return tell_step(self, state, flow_step_at(state->flow, (int)PyLong_AsLong(args[1])));
}

/* Several threads may look at these at once in a free-threaded build. */
static inline bool
told_in(uint32_t *where, uint32_t id)
{
    return atomic_load_explicit((_Atomic uint32_t *)where, memory_order_relaxed) == id;
}

/* Tell the outcome of a branch, unless it was the last that was told of it in this context. False:
 * it could not be stored. */
static bool
tell_outcome(core *self, code_state *state, flow_branch *branch, bool jumps, told_context *context,
             uint32_t id)
{
    int to = jumps ? branch->jumps_to : branch->falls_to;
    uint32_t *in = jumps ? &branch->jumps_in : &branch->falls_in;
    if (to == 0) {
        return true;
    }
    if (self->in_contexts && told_in(in, id)) {
        told_here_waste(self, state, id);
        return true;
    }
    bool stored = to > 0 && !self->branch ? tell_line_in(context, state->file, to)
                                          : tell_arc_in(context, state->file, branch->line, to);
    if (stored && self->in_contexts) {
        atomic_store_explicit((_Atomic uint32_t *)in, id, memory_order_relaxed);
    }
    return stored;
}

#if COMPAT_BRANCH_SIDES

static PyObject *
on_outcome(PyObject *module, PyObject *const *args, bool jumps)
{
    core *self = core_of_self(module);
    code_state *state = core_state_of(self, (PyCodeObject *)args[0]);
    if (state == NULL || state->flow == NULL) {
        return disable(self);
    }
    told_context *context;
    uint32_t id;
    if (context_of_event(self, state, &context, &id) < 0) {
        return NULL;
    }
    flow_branch *branch = flow_branch_at(state->flow, (int)PyLong_AsLong(args[1]));
    return told(self, state,
                branch == NULL || tell_outcome(self, state, branch, jumps, context, id));
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
    code_state *state = core_state_of(self, (PyCodeObject *)args[0]);
    if (state == NULL || state->flow == NULL) {
        return disable(self);
    }
    flow_branch *branch = flow_branch_at(state->flow, (int)PyLong_AsLong(args[1]));
    if (branch == NULL) {
        return disable(self);
    }
    told_context *context;
    uint32_t id;
    if (context_of_event(self, state, &context, &id) < 0) {
        return NULL;
    }
    bool jumps = (int)PyLong_AsLong(args[2]) != branch->next;
    bool stored = tell_outcome(self, state, branch, jumps, context, id);
    if (stored && !self->in_contexts) {
        *(jumps ? &branch->jumps_told : &branch->falls_told) = true;
    }
    if (self->in_contexts) {
        return told(self, state,
                    (branch->falls_to == 0 || told_in(&branch->falls_in, id)) &&
                        (branch->jumps_to == 0 || told_in(&branch->jumps_in, id)));
    }
    return told(self, state,
                (branch->falls_to == 0 || branch->falls_told) &&
                    (branch->jumps_to == 0 || branch->jumps_told));
}

#endif

static struct {
    const char *event;
    PyMethodDef callback;
} callbacks[] = {
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
    {"PY_THROW", {"on_throw", (PyCFunction)(void (*)(void))on_resume, METH_FASTCALL, NULL}},
    {"PY_YIELD", {"on_yield", (PyCFunction)(void (*)(void))on_leave, METH_FASTCALL, NULL}},
    {"PY_UNWIND", {"on_unwind", (PyCFunction)(void (*)(void))on_leave, METH_FASTCALL, NULL}},
    {"INSTRUCTION",
     {"on_instruction", (PyCFunction)(void (*)(void))on_instruction, METH_FASTCALL, NULL}},
};

enum { CALLBACKS = sizeof(callbacks) / sizeof(callbacks[0]) };

/* Our own reference to a function of sys.monitoring, so that wrappers over the public names do
 * not see our calls. */
static PyObject *
own_function(core *self, const char *name)
{
    return PyObject_GetAttrString(self->monitoring, name);
}

/* Take the first tool id that is free, other than `not_this`. */
static int
take_tool(core *self, int not_this)
{
    for (int i = 0; i < TOOLS; i++) {
        if (preferred_tools[i] == not_this) {
            continue;
        }
        PyObject *result =
            PyObject_CallFunction(self->use_tool_id, "is", preferred_tools[i], "covsup");
        if (result != NULL) {
            Py_DECREF(result);
            return preferred_tools[i];
        }
        if (!PyErr_ExceptionMatches(PyExc_ValueError)) {
            return -1;
        }
        PyErr_Clear(); /* somebody else's */
    }
    PyErr_SetString(PyExc_RuntimeError, "every tool id of sys.monitoring is in use by other tools");
    return -1;
}

/* What no code object has of its own: its start, and, where frames begin contexts, how it is left
 * by an exception (an event of a code object's own from 3.15 on only). */
static int
global_events(core *self)
{
    int events = event_number(self, "PY_START");
    if (contexts_of_kind(self, SEGMENT_TEST_FUNCTION) || contexts_of_kind(self, SEGMENT_REQUEST) ||
        contexts_of_kind(self, SEGMENT_PLUGIN)) {
        events |= event_number(self, "PY_UNWIND") | event_number(self, "PY_THROW");
    }
    if (self->shares_instructions) {
        events |= self->events.instruction;
    }
    return events;
}

static int
set_events(core *self, int tool, int events)
{
    PyObject *result = PyObject_CallFunction(self->set_events, "ii", tool, events);
    Py_XDECREF(result);
    return result != NULL ? 0 : -1;
}

/* What restore_instruction_events() mends for one code object cannot be mended where a tool has
 * these events everywhere. CPython keeps count of the tools from the start where there are two, so
 * we are the second; each instruction disables its event at the first turn. */
int
monitoring_share_instructions(core *self)
{
    if (self->shares_instructions || self->tool < 0) {
        return 0;
    }
    self->shares_instructions = true;
    return set_events(self, self->tool, global_events(self));
}

/* Register our callbacks and the event that announces code objects for `tool`. */
static int
listen(core *self, int tool)
{
    for (int i = 0; i < CALLBACKS; i++) {
        int event = event_number(self, callbacks[i].event);
        if (event < 0) {
            return -1;
        }
        PyObject *function = PyCFunction_New(&callbacks[i].callback, self->module);
        if (function == NULL) {
            return -1;
        }
        PyObject *old =
            PyObject_CallFunction(self->register_callback, "iiO", tool, event, function);
        Py_DECREF(function);
        if (old == NULL) {
            return -1;
        }
        Py_DECREF(old);
    }
    return set_events(self, tool, global_events(self));
}

int
monitoring_start(core *self)
{
    self->monitoring = Py_XNewRef(PySys_GetObject("monitoring"));
    if (self->monitoring == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "this interpreter has no sys.monitoring");
        return -1;
    }
    if ((self->disable = own_function(self, "DISABLE")) == NULL ||
        (self->set_local_events = own_function(self, "set_local_events")) == NULL ||
        (self->get_local_events = own_function(self, "get_local_events")) == NULL ||
        (self->set_events = own_function(self, "set_events")) == NULL ||
        (self->register_callback = own_function(self, "register_callback")) == NULL ||
        (self->use_tool_id = own_function(self, "use_tool_id")) == NULL ||
        (self->free_tool_id = own_function(self, "free_tool_id")) == NULL) {
        return -1;
    }
    self->events.line = event_number(self, "LINE");
    self->events.py_return = event_number(self, "PY_RETURN");
    self->events.jump = event_number(self, "JUMP");
    self->events.yield_and_resume =
        event_number(self, "PY_YIELD") | event_number(self, "PY_RESUME");
    self->events.instruction = event_number(self, "INSTRUCTION");
#if COMPAT_BRANCH_SIDES
    self->events.branch = event_number(self, "BRANCH_LEFT") | event_number(self, "BRANCH_RIGHT");
#else
    self->events.branch = event_number(self, "BRANCH");
#endif
    if (PyErr_Occurred()) {
        return -1;
    }
    self->tool = take_tool(self, -1);
    if (self->tool < 0 || listen(self, self->tool) < 0) {
        return -1;
    }
    return monitoring_hide_tool(self) < 0 ? -1 : user_tracer_arm(self, NULL);
}

/* A list of the code objects that are watched, or of those with disabled events (and whether
 * any of these is the event of a start); a list, since none of them may die while it is
 * used, and none of ours may be called with the lock held. */
static PyObject *
watched_codes(core *self, bool muted, bool *starts)
{
    PyObject *codes = PyList_New(0);
    pthread_mutex_lock(&self->lock);
    for (code_state *state = self->states; state != NULL && codes != NULL; state = state->next) {
        if (muted && !state->muted && !state->start_muted) {
            continue;
        }
        *starts = *starts || state->start_muted;
        if (PyList_Append(codes, (PyObject *)state->code) < 0) {
            Py_CLEAR(codes);
        }
    }
    pthread_mutex_unlock(&self->lock);
    return codes;
}

/* Give `tool` back as if it had never been used: before 3.14 free_tool_id leaves callbacks and
 * local events behind. */
static int
release_tool(core *self, int tool, PyObject *codes)
{
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(codes); i++) {
        PyObject *result = PyObject_CallFunction(self->set_local_events, "iOi", tool,
                                                 PyList_GET_ITEM(codes, i), 0);
        if (result == NULL) {
            return -1;
        }
        Py_DECREF(result);
    }
    for (int i = 0; i < CALLBACKS; i++) {
        PyObject *old = PyObject_CallFunction(self->register_callback, "iiO", tool,
                                              event_number(self, callbacks[i].event), Py_None);
        if (old == NULL) {
            return -1;
        }
        Py_DECREF(old);
    }
    PyObject *result = PyObject_CallFunction(self->set_events, "ii", tool, 0);
    Py_XDECREF(result);
    result = result != NULL ? PyObject_CallFunction(self->free_tool_id, "i", tool) : NULL;
    Py_XDECREF(result);
    return result != NULL ? 0 : -1;
}

/* Events that are switched off and on again for a code object are no longer disabled in it; those
 * of other tools stay as they are, which sys.monitoring.restart_events() would not leave so. */
int
monitoring_restart(core *self, code_state *state)
{
    if (self->tool < 0) {
        return 0;
    }
    if (set_local_events(self, self->tool, state->code, 0) < 0) {
        return -1;
    }
    state->muted = false;
    return watch_code(self, state);
}

int
monitoring_wake(core *self)
{
    while (self->asleep != NULL) {
        if (told_here_wake(self, self->asleep) < 0) {
            return -1;
        }
    }
    return 0;
}

int
monitoring_rearm(core *self)
{
    int rc = -1;
    bool starts = false;
    if (self->tool < 0) {
        return 0;
    }
    if (monitoring_wake(self) < 0) {
        return -1;
    }
    PyObject *codes = watched_codes(self, true, &starts);
    if (codes == NULL) {
        return -1;
    }
    /* The event of a start is no code object's own: it must be off everywhere meanwhile. */
    rc = starts ? set_events(self, self->tool, 0) : 0;
    for (Py_ssize_t i = 0; rc == 0 && i < PyList_GET_SIZE(codes); i++) {
        rc = set_local_events(self, self->tool, (PyCodeObject *)PyList_GET_ITEM(codes, i), 0);
    }
    if (starts && set_events(self, self->tool, global_events(self)) < 0) {
        rc = -1;
    }
    for (Py_ssize_t i = 0; rc == 0 && i < PyList_GET_SIZE(codes); i++) {
        code_state *state = core_state_of(self, (PyCodeObject *)PyList_GET_ITEM(codes, i));
        if (state != NULL) {
            state->muted = state->start_muted = false;
            rc = watch_code(self, state);
        }
    }
    Py_DECREF(codes);
    return rc;
}

int
monitoring_step_aside(core *self)
{
    int old = self->tool;
    int rc = -1;
    bool starts = false;
    PyObject *codes = monitoring_wake(self) == 0 ? watched_codes(self, false, &starts) : NULL;
    if (codes == NULL) {
        return -1;
    }
    int tool = take_tool(self, old);
    if (tool >= 0 && listen(self, tool) == 0) {
        self->tool = tool;
        rc = 0;
        for (Py_ssize_t i = 0; rc == 0 && i < PyList_GET_SIZE(codes); i++) {
            code_state *state = core_state_of(self, (PyCodeObject *)PyList_GET_ITEM(codes, i));
            rc = state != NULL ? watch_code(self, state) : 0;
        }
    } else if (PyErr_ExceptionMatches(PyExc_RuntimeError)) {
        /* The target takes all of them, as it may: it gets this one too. */
        PyErr_Clear();
        static const char note[] = "the program took every tool id of sys.monitoring: threads that "
                                   "had been started before are not measured from then on";
        journal_event(EVENT_NOTE, note, sizeof(note) - 1);
        self->tool = -1;
        rc = settrace_take_over(self);
    }
    if (rc == 0) {
        rc = release_tool(self, old, codes);
    }
    Py_DECREF(codes);
    return rc;
}

#endif
