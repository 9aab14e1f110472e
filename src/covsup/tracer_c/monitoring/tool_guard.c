/* monitoring/tool_guard.c - the target sees sys.monitoring as if covsup used none of its tool ids.
 *
 * Each function that takes a tool id is patched (cpython/builtin_patch.h). Where the target passes
 * the id that we use, our tool first moves to another one.
 *
 * Threads, Must never know: see monitoring/tool_guard.h. */
#include "monitoring/tool_guard.h"

#if COMPAT_MONITORING

#include "cpython/target_callback.h"
#include "core/interpreter.h"
#include "cpython/builtin_patch.h"
#include "monitoring/dormancy.h"
#include "monitoring/tool.h"
#include "settrace/thread_trace.h"

/* CPython's own tool id for sys.settrace. */
enum { SYS_TRACE_TOOL = 7 };

/* The target sets events: see that CPython does not forget its INSTRUCTION events (see tool.c). -1
 * with an exception set. */
static int
keep_instructions(core *self, PyObject *event_set, bool everywhere)
{
    int events = PyLong_Check(event_set) ? (int)PyLong_AsLong(event_set) : 0;
    if (events == -1 && PyErr_Occurred()) {
        PyErr_Clear(); /* the original reports what is wrong */
        return 0;
    }
    if ((events & self->events.instruction) == 0) {
        return 0;
    }
    self->target_has_instructions = true;
    return everywhere ? monitoring_share_instructions(self) : 0;
}

/* An argument as CPython converts it to an int. An __index__ may be Python code, so it is called
 * once, and the original gets the result. New reference, or NULL with the exception of __index__.
 */
static PyObject *
as_int(PyObject *argument)
{
    return PyLong_Check(argument) || !PyIndex_Check(argument) ? Py_NewRef(argument)
                                                              : PyNumber_Index(argument);
}

/* The tool id in `tool`, a result of as_int(); -1: it is none, which the original reports. */
static long
tool_id(PyObject *tool)
{
    int overflow = 0;
    long number = PyLong_Check(tool) ? PyLong_AsLongAndOverflow(tool, &overflow) : -1;
    return overflow == 0 && number >= 0 && number <= INT_MAX ? number : -1;
}

/* What a function does with the tool id that is its first argument. */
typedef enum { TAKES_TOOL, GETS_TOOL, REGISTERS, SETS_EVENTS, SETS_LOCAL_EVENTS } purpose;

/* The target's callbacks are measured like its other code: see cpython/target_callback.h. */
static PyObject *
call_with_wrapped(const patched_call *changed, PyObject *const *args)
{
    PyObject *wrapped = args[2] == Py_None ? Py_NewRef(Py_None) : target_callback_wrap(args[2]);
    if (wrapped == NULL) {
        return NULL;
    }
    PyObject *old = patch_call_original_with(changed, 2, NULL, wrapped);
    Py_DECREF(wrapped);
    if (old != NULL) {
        Py_SETREF(old, target_callback_unwrap(old));
    }
    return old;
}

/* `tool` and `events` (or NULL) are the first and the last argument, converted by as_int(). */
static PyObject *
call_with_ints(core *self, const patched_call *call, purpose what, PyObject *tool, PyObject *events)
{
    if (self->tool >= 0 && tool_id(tool) == self->tool) {
        if (what == GETS_TOOL) {
            Py_RETURN_NONE;
        }
        if (dormancy_end_all(self) < 0 || monitoring_change_tool(self) < 0) {
            return NULL;
        }
    }
    self->target_uses_tools = true;
    if (events != NULL && keep_instructions(self, events, what == SETS_EVENTS) < 0) {
        return NULL;
    }
    PyObject *args[3] = {tool}; /* no function has more arguments */
    for (Py_ssize_t i = 1; i < call->nargs; i++) {
        args[i] = call->args[i];
    }
    if (events != NULL) {
        args[call->nargs - 1] = events;
    }
    patched_call changed = *call;
    changed.args = args;
    changed.nargsf = (size_t)call->nargs;
    return what == REGISTERS ? call_with_wrapped(&changed, args) : patch_call_original(&changed);
}

static PyObject *
guarded(const patched_call *call, purpose what, Py_ssize_t count)
{
    core *self = interpreter_core();
    if (self == NULL || call->nargs != count || patch_argument_count(call) != count) {
        return patch_call_original(call);
    }
    PyObject *events = NULL, *result = NULL; /* owned */
    PyObject *tool = as_int(call->args[0]);  /* owned; converted first, as in CPython */
    if (tool == NULL) {
        return NULL;
    }
    bool sets = what == SETS_EVENTS || what == SETS_LOCAL_EVENTS;
    if (!sets || tool_id(tool) < 0) { /* CPython rejects a wrong id before it converts the events */
        result = call_with_ints(self, call, what, tool, NULL);
    } else if ((events = as_int(call->args[count - 1])) != NULL) {
        result = call_with_ints(self, call, what, tool, events);
    }
    Py_XDECREF(events);
    Py_DECREF(tool);
    return result;
}

/* sys.monitoring._all_events(): for each event the tools that have it, without ours, and without
 * CPython's own for sys.settrace where only we trace. */
static PyObject *
all_events_handler(const patched_call *call)
{
    core *self = interpreter_core();
    PyObject *all = patch_call_original(call); /* owned */
    if (all == NULL || self == NULL || !PyDict_Check(all)) {
        return all;
    }
    long ours = self->tool >= 0 ? 1L << self->tool : 0;
    if (self->settrace_event != NULL && !thread_trace_has_target(self)) {
        ours |= 1L << SYS_TRACE_TOOL;
    }
    PyObject *theirs = PyDict_New();
    PyObject *event, *tools; /* borrowed from a new dict that no other code has */
    for (Py_ssize_t at = 0; theirs != NULL && PyDict_Next(all, &at, &event, &tools);) {
        long others = PyLong_AsLong(tools) & ~ours;
        if (others == 0) {
            continue;
        }
        PyObject *value = PyLong_FromLong(others);
        if (value == NULL || PyDict_SetItem(theirs, event, value) < 0) {
            Py_CLEAR(theirs);
        }
        Py_XDECREF(value);
    }
    Py_DECREF(all);
    return theirs;
}

#define GUARD(function, what, count)                                                               \
    static PyObject *function##_handler(const patched_call *call)                                  \
    {                                                                                              \
        return guarded(call, what, count);                                                         \
    }                                                                                              \
    PATCH(function, "sys.monitoring", #function)

GUARD(use_tool_id, TAKES_TOOL, 2);
GUARD(free_tool_id, TAKES_TOOL, 1);
GUARD(clear_tool_id, TAKES_TOOL, 1);
GUARD(register_callback, REGISTERS, 3);
GUARD(get_events, TAKES_TOOL, 1);
GUARD(set_events, SETS_EVENTS, 2);
GUARD(get_tool, GETS_TOOL, 1);
GUARD(get_local_events, TAKES_TOOL, 2);
GUARD(set_local_events, SETS_LOCAL_EVENTS, 3);
PATCH(all_events, "sys.monitoring", "_all_events");

/* A function that others have replaced stays as it is: the builtin that theirs calls cannot be
 * found. -1 with an exception set. */
static int
install_patches(core *self, builtin_patch *const *patches)
{
    PyObject *skipped = PyList_New(0); /* owned */
    int rc = skipped != NULL ? 0 : -1;
    for (; rc == 0 && *patches != NULL; patches++) {
        rc = patch_install_in(*patches, self->monitoring, skipped);
    }
    Py_XDECREF(skipped);
    return rc;
}

int
tool_guard_hide_tool(core *self)
{
    builtin_patch *const patches[] = {
        &use_tool_id, &free_tool_id, &clear_tool_id,    &register_callback, &get_events,
        &set_events,  &get_tool,     &get_local_events, &all_events,        &set_local_events,
        NULL};
    return install_patches(self, patches);
}

int
tool_guard_measure_callbacks(core *self)
{
    builtin_patch *const patches[] = {&register_callback, &all_events, NULL};
    return install_patches(self, patches);
}

#endif
