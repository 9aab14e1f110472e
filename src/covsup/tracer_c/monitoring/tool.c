/* monitoring/tool.c - our tool of sys.monitoring: its id, and which events it has where.
 *
 * Threads, Must never know: see monitoring/tool.h. */
#include "monitoring/tool.h"

#if COMPAT_MONITORING

#include "contexts/scopes.h"
#include "cpython/builtin_patch.h"
#include "journal/journal.h"
#include "journal/format.h"
#include "analysis/branch_table.h"

/* First the ids that no kind of tool is advised to use: no tool asks for these by name. */
static const int preferred_tools[] = {4, 3, 1, 5, 2, 0};

enum { N_TOOLS = 6 };

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

/* What a call returned is of no interest (stolen). -1: it failed, with an exception set. */
static int
drop_result(PyObject *result)
{
    if (result == NULL) {
        return -1;
    }
    Py_DECREF(result);
    return 0;
}

static int
set_local_events(core *self, int tool, PyCodeObject *code, int events)
{
    return drop_result(
        PyObject_CallFunction(self->set_local_events, "iOi", tool, (PyObject *)code, events));
}

/* When a second tool sets events on a code object, CPython forgets which tool had INSTRUCTION
 * events on it (3.12 to 3.15). Switch these off and on again. */
static int
restore_instruction_events(core *self, PyCodeObject *code)
{
    for (int tool = 0; tool < N_TOOLS; tool++) {
        if (tool == self->tool) {
            continue;
        }
        PyObject *value =
            PyObject_CallFunction(self->get_local_events, "iO", tool, (PyObject *)code);
        if (value == NULL) {
            if (!PyErr_ExceptionMatches(PyExc_ValueError)) {
                return -1;
            }
            PyErr_Clear(); /* the id is not in use */
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

int
monitoring_set_local_events(core *self, code_state *state)
{
    if (self->tool < 0) {
        return 0; /* the tool was given back while a callback ran */
    }
    const branch_table *branches = state->branches;
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
    if (branches != NULL) {
        if (branches->n_branches > 0) {
            events |= self->events.branch;
        }
        if (branches->n_return_arcs > 0) {
            events |= self->events.py_return;
        }
        if (branches->n_instruction_arcs > 0) {
            events |= self->events.instruction;
        }
    }
    if (set_local_events(self, self->tool, state->code, events) < 0) {
        return -1;
    }
    return self->target_uses_tools ? restore_instruction_events(self, state->code) : 0;
}

/* An attribute of sys.monitoring for ourselves: neither our own patches nor those of others see our
 * calls. */
static PyObject *
own_function(core *self, const char *name)
{
    PyObject *function = PyObject_GetAttrString(self->monitoring, name); /* owned */
    PyObject *own = function != NULL ? unpatched_builtin(function) : NULL;
    Py_XDECREF(function);
    return own;
}

/* Take the first free tool id other than `not_this`. -1: RuntimeError where none is free, or
 * another exception. */
static int
take_tool(core *self, int not_this)
{
    for (int i = 0; i < N_TOOLS; i++) {
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
        PyErr_Clear(); /* another tool has it */
    }
    PyErr_SetString(PyExc_RuntimeError, "every tool id of sys.monitoring is in use by other tools");
    return -1;
}

/* The events that we have for all code: the start of each code object, and where frames begin
 * contexts, how an exception leaves them (before 3.15 that is no local event). */
static int
global_events(core *self)
{
    int events = event_number(self, "PY_START");
    if (contexts_kind_enabled(self, SEGMENT_TEST_FUNCTION) ||
        contexts_kind_enabled(self, SEGMENT_REQUEST) ||
        contexts_kind_enabled(self, SEGMENT_PLUGIN)) {
        events |= event_number(self, "PY_UNWIND") | event_number(self, "PY_THROW");
    }
    if (self->shares_instructions) {
        events |= self->events.instruction;
    }
    if (self->awaits_resumed) {
        events |= event_number(self, "PY_RESUME") | event_number(self, "PY_THROW");
    }
    return events;
}

static int
set_events(core *self, int tool, int events)
{
    return drop_result(PyObject_CallFunction(self->set_events, "ii", tool, events));
}

/* restore_instruction_events() cannot repair events that a tool has for all code. CPython keeps
 * them where a second tool has them too. Our callback disables each of them at its first event. */
int
monitoring_share_instructions(core *self)
{
    if (self->shares_instructions || self->tool < 0) {
        return 0;
    }
    self->shares_instructions = true;
    return set_events(self, self->tool, global_events(self));
}

int
monitoring_await_resumed(core *self)
{
    self->awaits_resumed = true;
    return set_events(self, self->tool, global_events(self));
}

/* Register our callbacks for `tool`, and ask for the events of all code. */
static int
register_callbacks(core *self, int tool)
{
    for (int i = 0; i < self->n_callbacks; i++) {
        int event = event_number(self, self->callbacks[i].event);
        if (event < 0) {
            return -1;
        }
        PyObject *function =
            PyCFunction_New(&self->callbacks[i].callback, self->module); /* owned */
        int rc = function != NULL ? drop_result(PyObject_CallFunction(self->register_callback,
                                                                      "iiO", tool, event, function))
                                  : -1;
        Py_XDECREF(function);
        if (rc < 0) {
            return -1;
        }
    }
    return set_events(self, tool, global_events(self));
}

int
monitoring_start_tool(core *self, monitoring_callback *callbacks, int count)
{
    self->callbacks = callbacks;
    self->n_callbacks = count;
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
        (self->free_tool_id = own_function(self, "free_tool_id")) == NULL ||
        (self->restart_events = own_function(self, "restart_events")) == NULL) {
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
    return self->tool < 0 ? -1 : register_callbacks(self, self->tool);
}

/* A list of the code objects with states, or of those with disabled events. `*starts` is set if a
 * PY_START event is among these. NULL with an exception set. */
static PyObject *
codes_with_events(core *self, bool only_disabled, bool *starts)
{
    PyObject *codes = PyList_New(0);
    int rc = codes != NULL ? 0 : -1;
    pthread_mutex_lock(&self->lock);
    for (code_state *state = self->states; state != NULL && rc == 0; state = state->next) {
        if (only_disabled && !state->events_disabled && !state->start_disabled) {
            continue;
        }
        *starts = *starts || state->start_disabled;
        rc = PyList_Append(codes, (PyObject *)state->code);
    }
    pthread_mutex_unlock(&self->lock);
    if (rc < 0) {
        Py_CLEAR(codes); /* after the lock is released: a code object that dies takes it */
    }
    return codes;
}

/* Give `tool` back as if it had never been used. Before 3.14 free_tool_id() leaves callbacks and
 * local events behind. In every version, events that we disabled stay disabled for the next tool
 * with that id. Only restart_events() ends that; it also restarts the events that other tools have
 * disabled, which every tool has to expect. */
static int
release_tool(core *self, int tool, PyObject *codes)
{
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(codes); i++) {
        if (set_local_events(self, tool, (PyCodeObject *)PyList_GET_ITEM(codes, i), 0) < 0) {
            return -1;
        }
    }
    for (int i = 0; i < self->n_callbacks; i++) {
        int event = event_number(self, self->callbacks[i].event);
        if (drop_result(
                PyObject_CallFunction(self->register_callback, "iiO", tool, event, Py_None)) < 0) {
            return -1;
        }
    }
    bool released = set_events(self, tool, 0) == 0 &&
                    drop_result(PyObject_CallFunction(self->free_tool_id, "i", tool)) == 0 &&
                    drop_result(PyObject_CallNoArgs(self->restart_events)) == 0;
    return released ? 0 : -1;
}

/* Setting no events and then the old ones enables those that were disabled. Unlike
 * sys.monitoring.restart_events() it leaves the events of other tools alone. */
int
monitoring_restart_code(core *self, code_state *state)
{
    if (self->tool < 0) {
        return 0;
    }
    if (set_local_events(self, self->tool, state->code, 0) < 0) {
        return -1;
    }
    state->events_disabled = false;
    return monitoring_set_local_events(self, state);
}

int
monitoring_restart_all(core *self)
{
    int rc = -1;
    bool starts = false;
    if (self->tool < 0) {
        return 0;
    }
    PyObject *codes = codes_with_events(self, true, &starts);
    if (codes == NULL) {
        return -1;
    }
    /* PY_START is not a local event: it must be off for all code meanwhile. */
    rc = starts ? set_events(self, self->tool, 0) : 0;
    for (Py_ssize_t i = 0; rc == 0 && i < PyList_GET_SIZE(codes); i++) {
        rc = set_local_events(self, self->tool, (PyCodeObject *)PyList_GET_ITEM(codes, i), 0);
    }
    if (starts && set_events(self, self->tool, global_events(self)) < 0) {
        rc = -1;
    }
    for (Py_ssize_t i = 0; rc == 0 && i < PyList_GET_SIZE(codes); i++) {
        code_state *state = code_state_of(self, (PyCodeObject *)PyList_GET_ITEM(codes, i));
        if (state != NULL) {
            state->events_disabled = state->start_disabled = false;
            rc = monitoring_set_local_events(self, state);
        }
    }
    Py_DECREF(codes);
    return rc;
}

int
monitoring_change_tool(core *self)
{
    int old = self->tool;
    int rc = -1;
    bool starts = false;
    PyObject *codes = codes_with_events(self, false, &starts); /* owned */
    if (codes == NULL) {
        return -1;
    }
    int tool = take_tool(self, old);
    if (tool >= 0 && register_callbacks(self, tool) == 0) {
        self->tool = tool;
        rc = 0;
        for (Py_ssize_t i = 0; rc == 0 && i < PyList_GET_SIZE(codes); i++) {
            code_state *state = code_state_of(self, (PyCodeObject *)PyList_GET_ITEM(codes, i));
            rc = state != NULL ? monitoring_set_local_events(self, state) : 0;
        }
    } else if (PyErr_ExceptionMatches(PyExc_RuntimeError)) {
        /* The target takes all ids, so it gets this one too. The other core starts before ours
         * ends: releasing the tool raises audit events, whose hooks may be measured code. */
        PyErr_Clear();
        self->tool = -1;
        rc = self->take_over(self);
    }
    if (rc == 0) {
        rc = release_tool(self, old, codes);
    }
    Py_DECREF(codes);
    return rc;
}

int
monitoring_stop_tool(core *self)
{
    int tool = self->tool;
    bool starts = false;
    PyObject *codes = codes_with_events(self, false, &starts); /* owned */
    if (codes == NULL) {
        return -1;
    }
    self->tool = -1;
    int rc = release_tool(self, tool, codes);
    Py_DECREF(codes);
    return rc;
}

/* CPython's tool for trace functions has its events for all code, but CPython rewrites the bytecode
 * of a suspended frame only when that resumes, and a switch to a greenlet is no resumption for it.
 * Any change of the code's local events rewrites the bytecode at once. */
int
monitoring_rewrite_suspended(core *self, PyCodeObject *code)
{
    static const char note[] = "the program uses every tool id of sys.monitoring: greenlets that "
                               "were suspended when measurement began are not measured";
    PyObject *functions = self->monitoring;
    int tool = functions != NULL ? 0 : N_TOOLS;
    while (tool < N_TOOLS &&
           drop_result(PyObject_CallMethod(functions, "use_tool_id", "is", tool, "covsup")) < 0) {
        if (!PyErr_ExceptionMatches(PyExc_ValueError)) {
            return -1;
        }
        PyErr_Clear(); /* another tool has it */
        tool++;
    }
    if (tool == N_TOOLS) {
        journal_event(EVENT_NOTE, note, sizeof(note) - 1);
        return 0;
    }
    const int events[] = {event_number(self, "LINE"), 0};
    int rc = 0;
    for (int i = 0; i < 2 && rc == 0; i++) {
        rc = drop_result(PyObject_CallMethod(functions, "set_local_events", "iOi", tool,
                                             (PyObject *)code, events[i]));
    }
    PyObject *error = compat_take_exception(); /* owned, or NULL */
    int freed = drop_result(PyObject_CallMethod(functions, "free_tool_id", "i", tool));
    if (error != NULL) {
        PyErr_Clear();
        compat_restore_exception(error);
    }
    return rc == 0 ? freed : rc;
}

#endif
