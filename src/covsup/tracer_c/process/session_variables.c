/* process/session_variables.c - the environment variables that take the session to the next process
 * image.
 *
 * putenv() has put a static buffer into the environment for COVSUP_PARENT. A forked child writes
 * its identity there without setenv(), whose lock another thread may have held at the fork.
 *
 * Must never know: which call the environment is for. */
#include "process/session_variables.h"

#include <stdlib.h>
#include <string.h>

#include "contexts/contexts.h"
#include "core/interpreter.h"
#include "journal/journal.h"

#define SESSION "COVSUP_SESSION"
#define PARENT "COVSUP_PARENT"
#define CONTEXT "COVSUP_CONTEXT"
#define PAUSED "COVSUP_PAUSED"

/* All under the GIL. */
static char parent_entry[sizeof(PARENT "=") + JOURNAL_PARENT_SIZE] = PARENT "=";
static char *const parent_value = parent_entry + sizeof(PARENT "=") - 1;
static char *session_entry; /* "COVSUP_SESSION=..."; never freed: environ may point to it */
static const char *session; /* its value; NULL before environ_start() */

static void
refresh_parent(void)
{
    char now[JOURNAL_PARENT_SIZE];
    journal_parent_value(now);
    if (strcmp(now, parent_value) != 0) {
        memcpy(parent_value, now, sizeof(now));
    }
}

int
environ_start(const char *directory)
{
    if (session == NULL) {
        size_t size = strlen(directory) + 1;
        session_entry = malloc(sizeof(SESSION "=") - 1 + size);
        if (session_entry == NULL) {
            PyErr_NoMemory();
            return -1;
        }
        memcpy(session_entry, SESSION "=", sizeof(SESSION "=") - 1);
        memcpy(session_entry + sizeof(SESSION "=") - 1, directory, size);
        session = session_entry + sizeof(SESSION "=") - 1;
    }
    environ_add_session(NULL);
    return 0;
}

const char *
environ_session(void)
{
    return session;
}

void
environ_stop(void)
{
    const char *given = getenv(SESSION), *stopped = session;
    session = NULL;
    if (stopped == NULL || given == NULL || strcmp(given, stopped) != 0) {
        return;
    }
    (void)unsetenv(SESSION);
    (void)unsetenv(PARENT);
    (void)unsetenv(CONTEXT);
}

void
environ_after_fork(void)
{
    if (session != NULL) {
        refresh_parent();
    }
}

/* The current context, or NULL. *holder (owned) keeps the text alive. */
static const char *
context_value(PyObject **holder)
{
    core *self = interpreter_core();
    *holder = NULL;
    return self != NULL && self->records_contexts ? contexts_environ_value(self, holder) : NULL;
}

/* Set COVSUP_CONTEXT in the process's own environment, or unset what an earlier call left there. */
static void
add_context(environ_change *change)
{
    PyObject *holder; /* owned */
    const char *now = context_value(&holder);
    const char *given = getenv(CONTEXT);
    if (now != NULL ? given == NULL || strcmp(now, given) != 0 : given != NULL) {
        char *before = given != NULL && change != NULL ? strdup(given) : NULL;
        int rc = now != NULL ? setenv(CONTEXT, now, 1) : unsetenv(CONTEXT);
        if (rc == 0 && change != NULL) {
            change->changed_context = true;
            change->context_before = before;
        } else {
            free(before);
        }
    }
    Py_XDECREF(holder);
}

void
environ_add_session(environ_change *change)
{
    if (change != NULL) {
        *change = (environ_change){0};
    }
    if (session == NULL) {
        return;
    }
    const char *given = getenv(SESSION);
    if (given != NULL && strcmp(given, session) != 0) {
        return; /* off, or another session */
    }
    refresh_parent();
    if (given == NULL && putenv(session_entry) == 0 && change != NULL) {
        change->added_session = true;
    }
    add_context(change);
    const char *parent = getenv(PARENT);
    if (parent == parent_value) {
        return;
    }
    char *before = parent != NULL && change != NULL ? strdup(parent) : NULL;
    if (putenv(parent_entry) == 0 && change != NULL) {
        change->changed_parent = true;
        change->parent_before = before;
    } else {
        free(before);
    }
}

void
environ_restore(environ_change *change)
{
    if (change->added_session) {
        (void)unsetenv(SESSION);
    }
    if (change->changed_parent) {
        if (change->parent_before == NULL) {
            (void)unsetenv(PARENT);
        } else {
            (void)setenv(PARENT, change->parent_before, 1);
        }
    }
    if (change->changed_context) {
        if (change->context_before == NULL) {
            (void)unsetenv(CONTEXT);
        } else {
            (void)setenv(CONTEXT, change->context_before, 1);
        }
    }
    free(change->parent_before);
    free(change->context_before);
    *change = (environ_change){0};
}

/* 1: `name` is that name, as str or bytes. 0: it is not, or of another type. */
static int
is_name(PyObject *name, const char *wanted)
{
    if (PyUnicode_Check(name)) {
        return PyUnicode_CompareWithASCIIString(name, wanted) == 0;
    }
    return PyBytes_Check(name) && strcmp(PyBytes_AS_STRING(name), wanted) == 0;
}

/* 1: the value is the directory of this session. 0: it is not. -1: exception set. */
static int
is_session(PyObject *value)
{
    PyObject *encoded = NULL; /* owned */
    if (!PyUnicode_FSConverter(value, &encoded)) {
        return -1;
    }
    int same = strcmp(PyBytes_AS_STRING(encoded), session) == 0;
    Py_DECREF(encoded);
    return same;
}

/* COVSUP_PAUSED of this process, for its children; NULL: they are measured from their start. The
 * pointer is the environment's, which Python code may change: use it at once. */
static const char *
paused_value(void)
{
    const char *value = getenv(PAUSED);
    return value != NULL && value[0] != '\0' ? value : NULL;
}

/* Add a variable to a dict, decoded so that encoding gives the same bytes. -1: exception set. */
static int
put(PyObject *made, const char *name, const char *value)
{
    PyObject *text = PyUnicode_DecodeFSDefault(value); /* owned */
    int rc = text != NULL ? PyDict_SetItemString(made, name, text) : -1;
    Py_XDECREF(text);
    return rc;
}

/* Append a variable to a list of "NAME=value". -1: exception set. */
static int
append(PyObject *made, const char *name, const char *value)
{
    PyObject *entry = PyBytes_FromFormat("%s=%s", name, value); /* owned */
    int rc = entry != NULL ? PyList_Append(made, entry) : -1;
    Py_XDECREF(entry);
    return rc;
}

/* A dict of keys and values with the session; NULL with or without an exception. */
static PyObject *
dict_with_session(PyObject *keys, PyObject *values)
{
    PyObject *result = NULL, *holder = NULL; /* owned */
    PyObject *made = PyDict_New();           /* owned */
    bool has_session = false, has_paused = false;
    if (made == NULL) {
        goto done;
    }
    Py_ssize_t count = PyList_GET_SIZE(keys);
    if (PyList_GET_SIZE(values) != count) {
        goto done;
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        /* Borrowed: both lists are new and nothing else has them. */
        PyObject *key = PyList_GET_ITEM(keys, i);
        PyObject *value = PyList_GET_ITEM(values, i);
        if (is_name(key, PARENT) || is_name(key, CONTEXT)) {
            continue;
        }
        if (is_name(key, SESSION)) {
            if (is_session(value) != 1) {
                goto done;
            }
            has_session = true;
        }
        has_paused = has_paused || is_name(key, PAUSED); /* the program's own value stays */
        if (PyDict_SetItem(made, key, value) < 0) {
            goto done;
        }
    }
    const char *context = context_value(&holder);
    if ((has_session || put(made, SESSION, session) == 0) && put(made, PARENT, parent_value) == 0 &&
        (has_paused || paused_value() == NULL || put(made, PAUSED, paused_value()) == 0) &&
        (context == NULL || put(made, CONTEXT, context) == 0)) {
        result = Py_NewRef(made);
    }
done:
    Py_XDECREF(holder);
    Py_XDECREF(made);
    return result;
}

PyObject *
environ_mapping_with_session(PyObject *environ)
{
    if (session == NULL || !PyMapping_Check(environ)) {
        return NULL;
    }
    refresh_parent();
    PyObject *keys = NULL, *values = NULL, *result = NULL; /* owned */
    /* The calls that the patched function would make. It is given a dict, so the methods of a
     * mapping written in Python are called as often as without covsup. */
    if (PyMapping_Size(environ) < 0 || (keys = PyMapping_Keys(environ)) == NULL ||
        (values = PyMapping_Values(environ)) == NULL) {
        goto done;
    }
    result = dict_with_session(keys, values);
done:
    if (result == NULL) {
        PyErr_Clear(); /* the patched function meets the same error and raises it */
    }
    Py_XDECREF(keys);
    Py_XDECREF(values);
    return result;
}

/* The value in "NAME=value", or NULL. */
static const char *
value_of(PyObject *entry, const char *name, size_t length)
{
    const char *text = PyBytes_AS_STRING(entry);
    return strncmp(text, name, length) == 0 && text[length] == '=' ? text + length + 1 : NULL;
}

PyObject *
environ_list_with_session(PyObject *environ)
{
    if (session == NULL || (!PyList_Check(environ) && !PyTuple_Check(environ))) {
        return NULL;
    }
    refresh_parent();
    PyObject *holder = NULL;        /* owned */
    PyObject *made = PyList_New(0); /* owned */
    bool done = false, has_session = false, has_paused = false;
    if (made == NULL) {
        goto done;
    }
    for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(environ); i++) {
        PyObject *item = PySequence_Fast_GET_ITEM(environ, i); /* borrowed */
        if (!PyBytes_Check(item)) {
            goto done;
        }
        const char *value = value_of(item, SESSION, sizeof(SESSION) - 1);
        if (value != NULL && strcmp(value, session) != 0) {
            goto done;
        }
        has_session = has_session || value != NULL;
        /* The program's own value stays. */
        has_paused = has_paused || value_of(item, PAUSED, sizeof(PAUSED) - 1) != NULL;
        if (value_of(item, PARENT, sizeof(PARENT) - 1) == NULL &&
            value_of(item, CONTEXT, sizeof(CONTEXT) - 1) == NULL && PyList_Append(made, item) < 0) {
            goto done;
        }
    }
    const char *context = context_value(&holder);
    done = (has_session || append(made, SESSION, session) == 0) &&
           (has_paused || paused_value() == NULL || append(made, PAUSED, paused_value()) == 0) &&
           (context == NULL || append(made, CONTEXT, context) == 0) &&
           append(made, PARENT, parent_value) == 0;
done:
    PyErr_Clear();
    Py_XDECREF(holder);
    if (!done) {
        Py_CLEAR(made);
    }
    return made;
}
