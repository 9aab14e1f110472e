/* contexts/scopes.c - functions whose calls begin, hand on or take over a context.
 *
 * Threads: see contexts/scopes.h.
 * Must never know: which core there is. */
#include "contexts/scopes.h"

#include "core/code_state.h"
#include "core/interpreter.h"
#include "cpython/imported_modules.h"
#include "plugins/file_tracer.h"

#include <string.h>

/* What is remembered of work that nobody has run yet, at most: what a pool drops stays in it. */
enum { MAX_WORK = 1 << 16 };

/* So many calls without a request show that a function is no application. */
enum { MAX_NON_REQUEST_CALLS = 64 };

#define NAME(text) text, sizeof(text) - 1

static const struct {
    const char *file, *function;
    Py_ssize_t length; /* of its name: most code objects are told apart by that */
    unsigned role;
    const char *key_variable; /* the variable that tells pieces of work apart */
} known[] = {
    {"concurrent/futures/thread.py", NAME("_WorkItem.__init__"), ROLE_SUBMITS, "self"},
    {"concurrent/futures/thread.py", NAME("_WorkItem.run"), ROLE_RUNS, "self"},
    {"multiprocessing/pool.py", NAME("ApplyResult.__init__"), ROLE_SUBMITS_AT_END, "self"},
    {"multiprocessing/pool.py", NAME("IMapIterator.__init__"), ROLE_SUBMITS_AT_END, "self"},
    {"multiprocessing/pool.py", NAME("worker"), ROLE_RUNS_IN_LINES, "job"},
    {"gevent/threadpool.py", NAME("ThreadResult.__init__"), ROLE_SUBMITS, "self"},
    {"gevent/threadpool.py", NAME("_WorkerGreenlet.__run_task"), ROLE_RUNS, "thread_result"},
    {"eventlet/tpool.py", NAME("execute"), ROLE_SUBMITS_IN_LINES, "e"},
    {"eventlet/tpool.py", NAME("tworker"), ROLE_RUNS_IN_LINES, "e"},
};

enum { KNOWN = sizeof(known) / sizeof(known[0]) };

/* --- which roles ------------------------------------------------------------------------- */

static bool
ends_with(PyObject *text, const char *end)
{
    Py_ssize_t size;
    const char *utf8 = PyUnicode_AsUTF8AndSize(text, &size);
    size_t length = strlen(end);
    if (utf8 == NULL) {
        PyErr_Clear();
        return false;
    }
    return (size_t)size >= length && strcmp(utf8 + size - length, end) == 0;
}

static bool
begins_with(PyObject *text, const char *start)
{
    for (Py_ssize_t i = 0; start[i] != '\0'; i++) {
        if (i >= PyUnicode_GET_LENGTH(text) ||
            PyUnicode_READ_CHAR(text, i) != (Py_UCS4)(unsigned char)start[i]) {
            return false;
        }
    }
    return true;
}

/* Which of the first parameters could hold a request: their names tell, or the code is the
 * target's and takes as many as an application does. */
static bool
may_be_application(PyCodeObject *code, bool measured)
{
    static const char *const names[] = {"environ", "env", "scope", "start_response"};
    if (code->co_argcount < 2 || code->co_argcount > 4) {
        return false;
    }
    if (measured) {
        return true;
    }
    PyObject *variables = PyCode_GetVarnames(code); /* owned */
    bool found = false;
    for (int i = 0; variables != NULL && i < code->co_argcount; i++) {
        for (size_t n = 0; n < sizeof(names) / sizeof(names[0]); n++) {
            found = found ||
                    PyUnicode_CompareWithASCIIString(PyTuple_GET_ITEM(variables, i), names[n]) == 0;
        }
    }
    Py_XDECREF(variables);
    PyErr_Clear();
    return found;
}

unsigned
scope_roles(core *self, PyCodeObject *code, bool measured, const char **key_variable)
{
    unsigned roles = 0;
    for (int i = 0; i < KNOWN; i++) {
        if (PyUnicode_GET_LENGTH(code->co_qualname) == known[i].length &&
            PyUnicode_CompareWithASCIIString(code->co_qualname, known[i].function) == 0 &&
            ends_with(code->co_filename, known[i].file)) {
            roles |= known[i].role;
            *key_variable = known[i].key_variable;
        }
    }
    if (contexts_kind_enabled(self, SEGMENT_TEST_FUNCTION) &&
        (begins_with(code->co_name, "test") ||
         PyUnicode_CompareWithASCIIString(code->co_name, "runTest") == 0)) {
        roles |= ROLE_TEST;
    }
    if (contexts_kind_enabled(self, SEGMENT_REQUEST) && may_be_application(code, measured)) {
        roles |= ROLE_REQUEST;
    }
    if (plugins_have_contexts(self)) {
        roles |= ROLE_PLUGIN;
    }
    return roles;
}

/* --- work -------------------------------------------------------------------------------- */

/* What tells a piece of work apart (owned): an object's address, or a pool's number for it, which
 * is made negative. NULL without an exception where there is none. */
static PyObject *
work_key(PyFrameObject *frame, const char *key_variable, bool of_object)
{
    PyObject *value = compat_frame_variable(frame, key_variable); /* owned, or NULL */
    PyObject *key = NULL;
    if (value == NULL || value == Py_None) {
        Py_XDECREF(value);
        return NULL;
    }
    if (of_object) {
        Py_SETREF(value, PyObject_GetAttrString(value, "_job"));
    }
    if (value != NULL && PyLong_Check(value)) {
        key = PyNumber_Invert(value);
    } else if (value != NULL && !of_object) {
        key = PyLong_FromVoidPtr(value);
    }
    Py_XDECREF(value);
    PyErr_Clear();
    return key;
}

static void
work_submitted(core *self, code_state *state, PyFrameObject *frame, bool of_object)
{
    const unsigned places =
        KIND_BIT(SEGMENT_THREAD) | KIND_BIT(SEGMENT_GREENLET) | KIND_BIT(SEGMENT_TASK);
    PyObject *work = contexts_work_chains(self);
    PyObject *key = work_key(frame, state->key_variable, of_object); /* owned */
    if (key == NULL) {
        return;
    }
    PyObject *chain = contexts_inherited_without(self, places); /* owned */
    if (chain != NULL) {
        if (PyDict_GET_SIZE(work) >= MAX_WORK) {
            PyDict_Clear(work); /* work that nobody will ever run, but for what was made last */
        }
        (void)PyDict_SetItem(work, key, chain);
    } else if (PyDict_Contains(work, key) == 1) {
        (void)PyDict_DelItem(work, key); /* of an object that was at the same address */
    }
    PyErr_Clear(); /* no memory: the work goes without a context */
    Py_XDECREF(chain);
    Py_DECREF(key);
}

/* What enters the context of the piece of work that `frame` runs; owned, or NULL without an
 * exception. */
static PyObject *
enter_work(core *self, code_state *state, PyFrameObject *frame)
{
    PyObject *key = work_key(frame, state->key_variable, false); /* owned */
    PyObject *chain =
        key != NULL ? Py_XNewRef(PyDict_GetItemWithError(contexts_work_chains(self), key)) : NULL;
    Py_XDECREF(key);
    PyErr_Clear();
    PyObject *entered = contexts_enter(self, chain);
    Py_XDECREF(chain);
    PyErr_Clear();
    return entered;
}

/* --- tests and requests ------------------------------------------------------------------ */

/* Whether a code object says where it is defined: it is a function's, and in no other function. */
static bool
is_named_by_its_code(PyCodeObject *code)
{
    PyObject *inner = PyUnicode_FromString("<locals>"); /* owned */
    bool found = inner == NULL || PyUnicode_Contains(code->co_qualname, inner) != 0;
    Py_XDECREF(inner);
    return (code->co_flags & CO_OPTIMIZED) != 0 && !found;
}

/* coverage.py's label of a test function; owned, or NULL where it is none, or with an exception. */
static PyObject *
test_label(PyFrameObject *frame, PyCodeObject *code)
{
    PyObject *result = NULL;
    PyObject *self = NULL, *method = NULL, *function = NULL, *type = NULL; /* owned */
    PyObject *module = NULL, *name = NULL, *globals = NULL;                /* owned */
    PyObject *variables = PyCode_GetVarnames(code);                        /* owned */
    if (variables == NULL) {
        return NULL;
    }
    if (code->co_argcount > 0 &&
        PyUnicode_CompareWithASCIIString(PyTuple_GET_ITEM(variables, 0), "self") == 0) {
        self = compat_frame_variable(frame, "self");
        method = self != NULL ? PyObject_GetAttr(self, code->co_name) : NULL;
        PyErr_Clear();
        if (method == Py_None) {
            Py_CLEAR(method);
        }
    }
    if (method == NULL) {
        globals = PyFrame_GetGlobals(frame);
        function = Py_XNewRef(PyDict_GetItemWithError(globals, code->co_name));
        if (function == NULL || function == Py_None) {
            /* Static and class methods, and methods whose first argument has another name. */
            if (is_named_by_its_code(code)) {
                module = Py_XNewRef(PyDict_GetItemString(globals, "__name__"));
                result = PyUnicode_FromFormat("%S.%U", module != NULL ? module : Py_None,
                                              code->co_qualname);
            }
        } else {
            module = PyObject_GetAttrString(function, "__module__");
            result = module != NULL ? PyUnicode_FromFormat("%S.%U", module, code->co_name) : NULL;
        }
        goto done;
    }
    function = PyObject_GetAttrString(method, "__func__");
    if (function == NULL) {
        PyErr_Clear();
        type = PyObject_GetAttrString(self, "__class__");
        module = type != NULL ? PyObject_GetAttrString(type, "__module__") : NULL;
        name = module != NULL ? PyObject_GetAttrString(type, "__name__") : NULL;
        result =
            name != NULL ? PyUnicode_FromFormat("%S.%S.%U", module, name, code->co_name) : NULL;
    } else {
        module = PyObject_GetAttrString(function, "__module__");
        name = module != NULL ? PyObject_GetAttrString(function, "__qualname__") : NULL;
        result = name != NULL ? PyUnicode_FromFormat("%S.%S", module, name) : NULL;
    }
done:
    Py_XDECREF(variables);
    Py_XDECREF(self);
    Py_XDECREF(method);
    Py_XDECREF(function);
    Py_XDECREF(type);
    Py_XDECREF(module);
    Py_XDECREF(name);
    Py_XDECREF(globals);
    return result;
}

/* The text under a key; owned, or NULL without an exception. */
static PyObject *
text_in(PyObject *mapping, const char *key)
{
    PyObject *value = compat_dict_item(mapping, key);
    if (value != NULL && !PyUnicode_Check(value)) {
        Py_CLEAR(value);
    }
    return value;
}

static bool
is_text(PyObject *text, const char *wanted)
{
    return text != NULL && PyUnicode_CompareWithASCIIString(text, wanted) == 0;
}

static PyObject *
wsgi_label(PyObject *environ, PyObject *method)
{
    PyObject *mount = text_in(environ, "SCRIPT_NAME"), *path = text_in(environ, "PATH_INFO");
    PyObject *nothing = PyUnicode_FromString(""); /* owned, as these are */
    PyObject *label = nothing == NULL
                          ? NULL
                          : PyUnicode_FromFormat("%U %U%U", method, mount != NULL ? mount : nothing,
                                                 path != NULL ? path : nothing);
    Py_XDECREF(nothing);
    Py_XDECREF(mount);
    Py_XDECREF(path);
    return label;
}

static PyObject *
asgi_label(PyObject *scope)
{
    PyObject *type = text_in(scope, "type"), *path = text_in(scope, "path"),
             *method = text_in(scope, "method"); /* owned */
    PyObject *label = NULL;
    if (path != NULL && is_text(type, "websocket")) {
        label = PyUnicode_FromFormat("WEBSOCKET %U", path);
    } else if (path != NULL && method != NULL && is_text(type, "http")) {
        label = PyUnicode_FromFormat("%U %U", method, path);
    }
    Py_XDECREF(type);
    Py_XDECREF(path);
    Py_XDECREF(method);
    return label;
}

/* "GET /path" of what a server passes to an application; owned, or NULL where it is none, or with
 * an exception. */
static PyObject *
request_of(PyObject *value)
{
    if (!PyDict_Check(value)) {
        return NULL;
    }
    PyObject *method = text_in(value, "REQUEST_METHOD");                             /* owned */
    PyObject *input = method != NULL ? compat_dict_item(value, "wsgi.input") : NULL; /* owned */
    PyObject *label = input != NULL ? wsgi_label(value, method) : NULL;
    if (input == NULL) {
        label = asgi_label(value);
    }
    Py_XDECREF(input);
    Py_XDECREF(method);
    return label;
}

static PyObject *
request_label(PyFrameObject *frame, PyCodeObject *code)
{
    PyObject *label = NULL;
    PyObject *variables = PyCode_GetVarnames(code); /* owned */
    for (int i = 0; variables != NULL && label == NULL && i < code->co_argcount && i < 2; i++) {
        const char *name = PyUnicode_AsUTF8(PyTuple_GET_ITEM(variables, i));
        PyObject *value = name != NULL ? compat_frame_variable(frame, name) : NULL; /* owned */
        label = value != NULL ? request_of(value) : NULL;
        Py_XDECREF(value);
    }
    Py_XDECREF(variables);
    return label;
}

/* --- frames ------------------------------------------------------------------------------ */

/* Remember what ends with the frame; steals `entered`, which may be NULL. */
static void
keep(core *self, PyFrameObject *frame, PyObject *entered)
{
    PyObject *key = entered != NULL ? PyLong_FromVoidPtr(frame) : NULL; /* owned */
    if (key == NULL || PyDict_SetItem(contexts_entered_frames(self), key, entered) < 0) {
        PyErr_Clear(); /* no memory: it does not end */
    }
    Py_XDECREF(key);
    Py_XDECREF(entered);
}

static void
enter_labelled(core *self, code_state *state, PyFrameObject *frame)
{
    PyObject *label = NULL; /* owned */
    segment_kind kind = SEGMENT_TEST_FUNCTION;
    if ((state->roles & ROLE_TEST) != 0 && !contexts_has_segment(self, SEGMENT_TEST_FUNCTION)) {
        label = test_label(frame, state->code);
    }
    if (label == NULL && (state->roles & ROLE_REQUEST) != 0 &&
        !contexts_has_segment(self, SEGMENT_REQUEST)) {
        PyErr_Clear();
        kind = SEGMENT_REQUEST;
        label = request_label(frame, state->code);
        if (label == NULL && state->non_request_calls < MAX_NON_REQUEST_CALLS &&
            ++state->non_request_calls == MAX_NON_REQUEST_CALLS) {
            state->roles &= ~(unsigned)ROLE_REQUEST;
        }
    }
    /* As in coverage.py: the first that has a label names it, and none is asked within it. */
    if (label == NULL && (state->roles & ROLE_PLUGIN) != 0 &&
        !contexts_has_segment(self, SEGMENT_TEST_FUNCTION) &&
        !contexts_has_segment(self, SEGMENT_PLUGIN)) {
        PyErr_Clear();
        kind = SEGMENT_PLUGIN;
        label = plugins_context(self, frame);
    }
    if (label != NULL) {
        const int stops = CO_GENERATOR | CO_COROUTINE | CO_ASYNC_GENERATOR;
        bool lasts = (state->code->co_flags & stops) != 0;
        keep(self, frame, contexts_push(self, kind, label, lasts));
        Py_DECREF(label);
    }
    PyErr_Clear(); /* the target's own attributes: no label, then */
}

void
scope_enter(core *self, code_state *state, PyFrameObject *frame)
{
    if (!self->records_contexts || frame == NULL) {
        return;
    }
    if ((state->roles & ROLE_SUBMITS) != 0) {
        work_submitted(self, state, frame, false);
    }
    if ((state->roles & ROLE_RUNS) != 0) {
        keep(self, frame, enter_work(self, state, frame));
    }
    if ((state->roles & ROLES_OF_YIELD) != 0) {
        enter_labelled(self, state, frame);
    }
}

void
scope_line(core *self, code_state *state, PyFrameObject *frame)
{
    if (!self->records_contexts || frame == NULL) {
        return;
    }
    if ((state->roles & ROLE_SUBMITS_IN_LINES) != 0) {
        work_submitted(self, state, frame, false);
    }
    if ((state->roles & ROLE_RUNS_IN_LINES) != 0 && contexts_in_other_thread(self)) {
        Py_XDECREF(enter_work(self, state, frame));
    }
}

void
scope_exit(core *self, code_state *state, PyFrameObject *frame)
{
    if (!self->records_contexts || frame == NULL) {
        return;
    }
    if ((state->roles & ROLE_SUBMITS_AT_END) != 0) {
        work_submitted(self, state, frame, true);
    }
    if ((state->roles & (ROLES_OF_YIELD | ROLE_RUNS)) == 0) {
        return;
    }
    PyObject *key = PyLong_FromVoidPtr(frame); /* owned */
    PyObject *all = contexts_entered_frames(self);
    PyObject *entered = key != NULL ? Py_XNewRef(PyDict_GetItemWithError(all, key)) : NULL;
    if (entered != NULL) {
        (void)PyDict_DelItem(all, key);
        contexts_leave(self, entered); /* takes it */
    }
    Py_XDECREF(key);
    PyErr_Clear();
}

/* --- greenlets --------------------------------------------------------------------------- */

static newfunc new_greenlet;

/* greenlet's own tp_new, and of what is derived from it: a new greenlet has an empty context
 * unless it is given one. */
static PyObject *
new_greenlet_in_context(PyTypeObject *type, PyObject *args, PyObject *keywords)
{
    PyObject *made = new_greenlet(type, args, keywords);
    core *self = made != NULL ? interpreter_core() : NULL;
    PyObject *chain = NULL; /* owned */
    if (self != NULL && self->records_contexts) {
        chain = contexts_inherited_without(self, KIND_BIT(SEGMENT_GREENLET));
    }
    if (chain != NULL) {
        PyObject *context = contexts_new_context_with(self, chain); /* owned */
        if (context != NULL) {
            (void)PyObject_SetAttrString(made, "gr_context", context);
            Py_DECREF(context);
        }
        Py_DECREF(chain);
        PyErr_Clear(); /* a greenlet without contexts: it goes without */
    }
    return made;
}

void
scope_follow_greenlets(void)
{
    PyObject *type = imported_module_item("greenlet._greenlet", "greenlet"); /* owned */
    if (type != NULL && PyType_Check(type) &&
        ((PyTypeObject *)type)->tp_new != new_greenlet_in_context &&
        (new_greenlet == NULL || new_greenlet == ((PyTypeObject *)type)->tp_new)) {
        new_greenlet = ((PyTypeObject *)type)->tp_new;
        ((PyTypeObject *)type)->tp_new = new_greenlet_in_context;
    }
    Py_XDECREF(type);
}
