/* contexts/scopes.c - functions during whose calls another context is current. See scopes.h.
 *
 * Must never know: which core there is. */
#include "contexts/scopes.h"

#include "core/code_state.h"
#include "core/interpreter.h"
#include "cpython/imported_modules.h"
#include "plugins/file_tracer.h"

#include <string.h>

/* The most work items that are remembered. An item that a pool drops is never run, and stays. */
enum { MAX_WORK = 1 << 16 };

/* After so many calls without a request a function is taken to be no application. */
enum { MAX_NON_REQUEST_CALLS = 64 };

#define NAME(text) text, sizeof(text) - 1

static const struct {
    const char *file, *function;
    Py_ssize_t length; /* of its name: the quickest test, which nearly all code objects fail */
    unsigned role;
    const char *key_variable; /* the variable that identifies the work item */
} known_functions[] = {
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

enum { KNOWN = sizeof(known_functions) / sizeof(known_functions[0]) };

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

/* Whether the code may be an application: by the names of its parameters, or, for the target's own
 * code, by their number. */
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
        if (PyUnicode_GET_LENGTH(code->co_qualname) == known_functions[i].length &&
            PyUnicode_CompareWithASCIIString(code->co_qualname, known_functions[i].function) == 0 &&
            ends_with(code->co_filename, known_functions[i].file)) {
            roles |= known_functions[i].role;
            *key_variable = known_functions[i].key_variable;
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

/* The key of a work item (owned): the address of an object, or the complement of a pool's number
 * for it, which is negative. NULL without an exception: there is no item. */
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
            PyDict_Clear(work); /* nearly all of these were dropped and will never run */
        }
        (void)PyDict_SetItem(work, key, chain);
    } else if (PyDict_Contains(work, key) == 1) {
        (void)PyDict_DelItem(work, key); /* of an earlier object at the same address */
    }
    PyErr_Clear(); /* no memory: the item runs without a context */
    Py_XDECREF(chain);
    Py_DECREF(key);
}

/* Make the chain of the work item current that `frame` runs. A value for contexts_leave() (owned),
 * or NULL without an exception. */
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

/* Whether the qualified name of a code object is that of its function: it is a function, and not
 * inside another one. */
static bool
is_named_by_its_code(PyCodeObject *code)
{
    PyObject *inner = PyUnicode_FromString("<locals>"); /* owned */
    bool found = inner == NULL || PyUnicode_Contains(code->co_qualname, inner) != 0;
    Py_XDECREF(inner);
    return (code->co_flags & CO_OPTIMIZED) != 0 && !found;
}

/* The label that coverage.py gives a test function; owned. NULL, with or without an exception: it
 * is none. */
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

/* The str under a key; owned, or NULL without an exception. */
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

/* "GET /path", if `value` is what a server passes to an application; owned. NULL, with or without
 * an exception: it is not. */
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

/* Keep the value for contexts_leave() until the frame ends. Steals `entered`, which may be NULL. */
static void
keep_until_exit(core *self, PyFrameObject *frame, PyObject *entered)
{
    PyObject *key = entered != NULL ? PyLong_FromVoidPtr(frame) : NULL; /* owned */
    if (key == NULL || PyDict_SetItem(contexts_entered_frames(self), key, entered) < 0) {
        PyErr_Clear(); /* no memory: the context does not end with the frame */
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
    /* As in coverage.py: the first label counts, and no plugin is asked inside that call. */
    if (label == NULL && (state->roles & ROLE_PLUGIN) != 0 &&
        !contexts_has_segment(self, SEGMENT_TEST_FUNCTION) &&
        !contexts_has_segment(self, SEGMENT_PLUGIN)) {
        PyErr_Clear();
        kind = SEGMENT_PLUGIN;
        label = plugins_context(self, frame);
    }
    if (label != NULL) {
        const int suspending = CO_GENERATOR | CO_COROUTINE | CO_ASYNC_GENERATOR;
        bool suspendable = (state->code->co_flags & suspending) != 0;
        keep_until_exit(self, frame, contexts_push(self, kind, label, suspendable));
        Py_DECREF(label);
    }
    PyErr_Clear(); /* the target's own attributes raised: no label */
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
        keep_until_exit(self, frame, enter_work(self, state, frame));
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
        contexts_leave(self, entered); /* steals it */
    }
    Py_XDECREF(key);
    PyErr_Clear();
}

/* --- greenlets --------------------------------------------------------------------------- */

static newfunc new_greenlet; /* the original; under the GIL */

/* The tp_new of greenlet.greenlet and its subclasses. greenlet gives a new greenlet an empty
 * contextvars.Context; this gives it one with the chain of the code that makes it. */
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
        PyErr_Clear(); /* a version of greenlet without gr_context */
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
