/* tool_guard.c - the target sees sys.monitoring as if covsup used none of its tool ids.
 *
 * Each function that takes a tool id is replaced by one that looks the same and first moves our
 * tool out of the way where the target means our id.
 *
 * Threads: as the functions that are replaced.
 * Must never know: what our tool does. */
#include "core.h"

#if COMPAT_MONITORING

#include "callbacks.h"
#include "user_tracer.h"

static const char *const guarded[MONITORING_HIDDEN] = {
    "use_tool_id", "free_tool_id",     "register_callback", "get_events",    "set_events",
    "get_tool",    "get_local_events", "set_local_events",  "clear_tool_id",
};

enum { REGISTER_CALLBACK = 2, SET_EVENTS = 4, GET_TOOL = 5, SET_LOCAL_EVENTS = 7 };

/* The id that CPython gives to its own sys.settrace. */
enum { SYS_TRACE_TOOL = 7 };

/* INSTRUCTION events of the target: CPython forgets them in two places where another tool has LINE
 * events. -1 with an exception set. */
static int
keep_instructions(core *self, int which, PyObject *const *args, Py_ssize_t count)
{
    bool everywhere = which == SET_EVENTS && count == 2;
    if ((!everywhere && (which != SET_LOCAL_EVENTS || count != 3)) ||
        !PyLong_Check(args[count - 1])) {
        return 0;
    }
    int events = (int)PyLong_AsLong(args[count - 1]);
    if (events == -1 && PyErr_Occurred()) {
        PyErr_Clear(); /* the original says what is wrong with it */
        return 0;
    }
    if ((events & self->events.instruction) == 0) {
        return 0;
    }
    self->others_step = true;
    return everywhere ? monitoring_share_instructions(self) : 0;
}

static PyObject *
call_guarded(int which, PyObject *const *args, Py_ssize_t count)
{
    core *self = core_of_interpreter();
    if (self == NULL || self->hidden[which] == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "sys.monitoring is not available any more");
        return NULL;
    }
    if (count >= 1 && self->tool >= 0 && PyLong_Check(args[0])) {
        long tool = PyLong_AsLong(args[0]);
        if (tool == -1 && PyErr_Occurred()) {
            PyErr_Clear(); /* the original says what is wrong with it */
        } else if (tool == self->tool) {
            if (which == GET_TOOL) {
                Py_RETURN_NONE;
            }
            if (monitoring_step_aside(self) < 0) {
                return NULL;
            }
        }
    }
    self->others = true;
    if (keep_instructions(self, which, args, count) < 0) {
        return NULL;
    }
    if (which != REGISTER_CALLBACK || count != 3) {
        return PyObject_Vectorcall(self->hidden[which], args, (size_t)count, NULL);
    }
    /* The target's callbacks are its own code too: see callbacks.h. */
    PyObject *wrapped = args[2] == Py_None ? Py_NewRef(Py_None) : callback_wrap(args[2]);
    if (wrapped == NULL) {
        return NULL;
    }
    PyObject *with_wrapped[] = {args[0], args[1], wrapped};
    PyObject *old = PyObject_Vectorcall(self->hidden[which], with_wrapped, 3, NULL);
    Py_DECREF(wrapped);
    if (old != NULL) {
        Py_SETREF(old, callback_unwrap(old));
    }
    return old;
}

/* sys.monitoring._all_events(): per event the tools that have it; without ours, and without
 * CPython's own for sys.settrace where only we trace. */
static PyObject *
guard_all_events(PyObject *module, PyObject *unused)
{
    core *self = core_of_interpreter();
    PyObject *all = self != NULL ? PyObject_CallNoArgs(self->all_events) : PyDict_New();
    if (all == NULL || self == NULL || !PyDict_Check(all)) {
        return all;
    }
    long ours = self->tool >= 0 ? 1L << self->tool : 0;
    if (self->settrace_event != NULL && !user_tracer_is_anywhere(self)) {
        ours |= 1L << SYS_TRACE_TOOL;
    }
    PyObject *theirs = PyDict_New();
    PyObject *event, *tools;
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

static PyMethodDef all_events_method = {NULL, guard_all_events, METH_NOARGS, NULL};

#define GUARD(n)                                                                                   \
    static PyObject *guard_##n(PyObject *module, PyObject *const *args, Py_ssize_t count)          \
    {                                                                                              \
        return call_guarded(n, args, count);                                                       \
    }
GUARD(0)
GUARD(1)
GUARD(2)
GUARD(3)
GUARD(4)
GUARD(5)
GUARD(6)
GUARD(7)
GUARD(8)

#define METHOD(n) {NULL, (PyCFunction)(void (*)(void))guard_##n, METH_FASTCALL, NULL}
/* Names and docstrings are taken from the originals. */
static PyMethodDef methods[MONITORING_HIDDEN] = {
    METHOD(0), METHOD(1), METHOD(2), METHOD(3), METHOD(4),
    METHOD(5), METHOD(6), METHOD(7), METHOD(8),
};

/* Put ours in the place of sys.monitoring.`name`. The original, owned; NULL without an exception
 * where this version has none, and with one where it fails. */
static PyObject *
replace(core *self, const char *name, PyMethodDef *method)
{
    PyObject *original = PyObject_GetAttrString(self->monitoring, name);
    if (original == NULL) {
        if (PyErr_ExceptionMatches(PyExc_AttributeError)) {
            PyErr_Clear();
        }
        return NULL;
    }
    if (!PyCFunction_Check(original)) {
        return original; /* somebody was here before us: theirs calls the real one */
    }
    PyCFunctionObject *function = (PyCFunctionObject *)original;
    method->ml_name = function->m_ml->ml_name;
    method->ml_doc = function->m_ml->ml_doc;
    PyObject *guard = PyCFunction_NewEx(method, function->m_self, function->m_module);
    if (guard == NULL || PyObject_SetAttrString(self->monitoring, name, guard) < 0) {
        Py_CLEAR(original);
    }
    Py_XDECREF(guard);
    return original;
}

/* Nor does it see, in the list of all events, those that are there for our sake. */
static int
hide_events(core *self)
{
    self->all_events = replace(self, "_all_events", &all_events_method);
    return PyErr_Occurred() ? -1 : 0;
}

int
monitoring_hide_tool(core *self)
{
    for (int i = 0; i < MONITORING_HIDDEN; i++) {
        self->hidden[i] = replace(self, guarded[i], &methods[i]);
        if (PyErr_Occurred()) {
            return -1;
        }
    }
    return hide_events(self);
}

int
monitoring_trace_callbacks(core *self)
{
    self->hidden[REGISTER_CALLBACK] =
        replace(self, guarded[REGISTER_CALLBACK], &methods[REGISTER_CALLBACK]);
    return PyErr_Occurred() ? -1 : hide_events(self);
}

#endif
