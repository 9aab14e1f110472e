/* monitoring/tool.c - our tool of sys.monitoring: its id, its callbacks, which events it has where.
 *
 * Threads: with an attached thread state. What changes the events of many code objects works on a
 * list of them, made under the core's lock and used without it.
 * Must never know: what the events tell. */
#include "monitoring/tool.h"

#if COMPAT_MONITORING

#include "contexts/scopes.h"
#include "cpython/builtin_patch.h"
#include "journal/journal.h"
#include "journal/format.h"
#include "recorded/code_recorded.h"
#include "settrace/target_tracer.h"

/* Ids that no kind of tool is advised to use come first: nobody asks for them by name. */
static const int preferred_tools[] = {4, 3, 1, 5, 2, 0};

enum { TOOLS = 6 };

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

int
monitoring_set_local_events(core *self, code_state *state)
{
    const branch_table *flow = state->flow;
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
        if (flow->n_return_arcs > 0) {
            events |= self->events.py_return;
        }
        if (flow->n_instruction_arcs > 0) {
            events |= self->events.instruction;
        }
    }
    if (set_local_events(self, self->tool, state->code, events) < 0) {
        return -1;
    }
    return self->others ? restore_instruction_events(self, state->code) : 0;
}

/* A function of sys.monitoring for ourselves, so that wrappers over the public names, of others or
 * ours, do not see our calls. */
static PyObject *
own_function(core *self, const char *name)
{
    PyObject *function = PyObject_GetAttrString(self->monitoring, name); /* owned */
    PyObject *own = function != NULL ? unpatched_builtin(function) : NULL;
    Py_XDECREF(function);
    return own;
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

int
monitoring_await_resumed(core *self)
{
    self->awaits_resumed = true;
    return set_events(self, self->tool, global_events(self));
}

/* Register our callbacks and the event that announces code objects for `tool`. */
static int
listen(core *self, int tool)
{
    for (int i = 0; i < monitoring_callback_count; i++) {
        int event = event_number(self, monitoring_callbacks[i].event);
        if (event < 0) {
            return -1;
        }
        PyObject *function = PyCFunction_New(&monitoring_callbacks[i].callback, self->module);
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
    if (self->tool < 0 || listen(self, self->tool) < 0) {
        return -1;
    }
    return monitoring_hide_tool(self) < 0 ? -1 : target_tracer_install(self, NULL);
}

/* A list of the code objects that are watched, or of those with disabled events (and whether
 * any of these is the event of a start); a list, since none of them may die while it is
 * used, and none of ours may be called with the lock held. */
static PyObject *
codes_with_events(core *self, bool events_disabled, bool *starts)
{
    PyObject *codes = PyList_New(0);
    int rc = codes != NULL ? 0 : -1;
    pthread_mutex_lock(&self->lock);
    for (code_state *state = self->states; state != NULL && rc == 0; state = state->next) {
        if (events_disabled && !state->events_disabled && !state->start_disabled) {
            continue;
        }
        *starts = *starts || state->start_disabled;
        rc = PyList_Append(codes, (PyObject *)state->code);
    }
    pthread_mutex_unlock(&self->lock);
    if (rc < 0) {
        Py_CLEAR(codes); /* not with the lock, which a code object that dies takes */
    }
    return codes;
}

/* Give `tool` back as if it had never been used: before 3.14 free_tool_id leaves callbacks and
 * local events behind. Nor does any version forget what was disabled in code that does not run
 * meanwhile, which the next tool with that id would miss: only a restart of all events does that,
 * and every tool has to reckon with one. */
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
    for (int i = 0; i < monitoring_callback_count; i++) {
        PyObject *old =
            PyObject_CallFunction(self->register_callback, "iiO", tool,
                                  event_number(self, monitoring_callbacks[i].event), Py_None);
        if (old == NULL) {
            return -1;
        }
        Py_DECREF(old);
    }
    PyObject *result = PyObject_CallFunction(self->set_events, "ii", tool, 0);
    Py_XDECREF(result);
    result = result != NULL ? PyObject_CallFunction(self->free_tool_id, "i", tool) : NULL;
    Py_XDECREF(result);
    result = result != NULL ? PyObject_CallNoArgs(self->restart_events) : NULL;
    Py_XDECREF(result);
    return result != NULL ? 0 : -1;
}

/* Events that are switched off and on again for a code object are no longer disabled in it; those
 * of other tools stay as they are, which sys.monitoring.restart_events() would not leave so. */
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
monitoring_wake_all(core *self)
{
    while (self->dormant != NULL) {
        if (monitoring_wake_code(self, self->dormant) < 0) {
            return -1;
        }
    }
    return 0;
}

int
monitoring_restart_all(core *self)
{
    int rc = -1;
    bool starts = false;
    if (self->tool < 0) {
        return 0;
    }
    if (monitoring_wake_all(self) < 0) {
        return -1;
    }
    PyObject *codes = codes_with_events(self, true, &starts);
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
    PyObject *codes =
        monitoring_wake_all(self) == 0 ? codes_with_events(self, false, &starts) : NULL;
    if (codes == NULL) {
        return -1;
    }
    int tool = take_tool(self, old);
    if (tool >= 0 && listen(self, tool) == 0) {
        self->tool = tool;
        rc = 0;
        for (Py_ssize_t i = 0; rc == 0 && i < PyList_GET_SIZE(codes); i++) {
            code_state *state = code_state_of(self, (PyCodeObject *)PyList_GET_ITEM(codes, i));
            rc = state != NULL ? monitoring_set_local_events(self, state) : 0;
        }
    } else if (PyErr_ExceptionMatches(PyExc_RuntimeError)) {
        /* The target takes all of them, as it may: it gets this one too. */
        PyErr_Clear();
        self->tool = -1;
        rc = settrace_take_over(self);
    }
    if (rc == 0) {
        rc = release_tool(self, old, codes);
    }
    Py_DECREF(codes);
    return rc;
}

/* CPython's own tool for trace functions has its events everywhere, but it rewrites the bytecode of
 * a suspended frame only when that resumes, and a greenlet's never does so as far as CPython knows.
 * Any change of the code's own events rewrites it at once. */
int
settrace_measure_suspended(core *self, PyCodeObject *code)
{
    static const char note[] = "the program uses every tool id of sys.monitoring: greenlets that "
                               "were suspended when measurement began are not measured";
    PyObject *functions = self->monitoring;
    PyObject *result = NULL; /* owned */
    int tool = 0;
    for (; functions != NULL && tool < TOOLS && result == NULL; tool++) {
        result = PyObject_CallMethod(functions, "use_tool_id", "is", tool, "covsup");
        if (result == NULL && !PyErr_ExceptionMatches(PyExc_ValueError)) {
            return -1;
        }
        PyErr_Clear(); /* somebody else's id */
    }
    if (result == NULL) {
        journal_event(EVENT_NOTE, note, sizeof(note) - 1);
        return 0;
    }
    tool--;
    const int events[] = {event_number(self, "LINE"), 0};
    for (int i = 0; i < 2 && result != NULL; i++) {
        Py_SETREF(result, PyObject_CallMethod(functions, "set_local_events", "iOi", tool,
                                              (PyObject *)code, events[i]));
    }
    PyObject *error = compat_take_exception();
    Py_XDECREF(result);
    result = PyObject_CallMethod(functions, "free_tool_id", "i", tool);
    if (error != NULL) {
        PyErr_Clear();
        compat_restore_exception(error);
        Py_CLEAR(result);
    }
    Py_XDECREF(result);
    return result != NULL ? 0 : -1;
}

#endif
