/* module/module_patches.c - the module functions that put our wrappers in place.
 *
 * Threads: with an attached thread state only.
 * Must never know: what a fact is. */
#include "module/module_patches.h"

#include "process/environ.h"
#include "process/exec_spawn_fork.h"
#include "cpython/import_hook.h"

/* Each arm_*() returns the list of what could not be wrapped, as "module.name: why". */
static PyObject *
arm_all(hook *const *hooks)
{
    PyObject *refused = PyList_New(0); /* owned */
    for (; refused != NULL && *hooks != NULL; hooks++) {
        if (hook_arm(*hooks, refused) < 0) {
            Py_CLEAR(refused);
        }
    }
    return refused;
}

static PyObject *
carry_session(PyObject *module, PyObject *directory)
{
    PyObject *encoded = NULL; /* owned */
    if (!PyUnicode_FSConverter(directory, &encoded)) {
        return NULL;
    }
    int rc = hooks_environ_start(PyBytes_AS_STRING(encoded));
    Py_DECREF(encoded);
    if (rc < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *
session_directory(PyObject *module, PyObject *Py_UNUSED(none))
{
    const char *directory = hooks_environ_session();
    if (directory == NULL) {
        Py_RETURN_NONE;
    }
    return PyUnicode_DecodeFSDefault(directory);
}

static PyObject *
arm_fork(PyObject *module, PyObject *Py_UNUSED(none))
{
    static const char done[] = "covsup.fork";
    PyObject *dict = PyInterpreterState_GetDict(PyInterpreterState_Get()); /* borrowed */
    if (dict == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "this interpreter keeps no state for extensions");
        return NULL;
    }
    if (PyDict_GetItemString(dict, done) == NULL) {
        if (PyDict_SetItemString(dict, done, Py_True) < 0 || register_fork() < 0) {
            return NULL;
        }
    }
    return arm_all(user_hooks);
}

static PyObject *
arm_exec(PyObject *module, PyObject *Py_UNUSED(none))
{
    return arm_all(exec_hooks);
}

static PyObject *
arm_spawn(PyObject *module, PyObject *Py_UNUSED(none))
{
    return arm_all(spawn_hooks);
}

static PyObject *
arm_wait(PyObject *module, PyObject *Py_UNUSED(none))
{
    return arm_all(wait_hooks);
}

static PyObject *
arm_exit(PyObject *module, PyObject *Py_UNUSED(none))
{
    return register_exit() < 0 ? NULL : arm_all(exit_hooks);
}

static PyObject *
arm_threads(PyObject *module, PyObject *Py_UNUSED(none))
{
    PyObject *refused = arm_all(thread_hooks), *others; /* owned */
    if (refused == NULL || (others = arm_all(interpreter_hooks)) == NULL) {
        Py_XDECREF(refused);
        return NULL;
    }
    PyObject *both = PySequence_InPlaceConcat(refused, others); /* owned */
    Py_DECREF(refused);
    Py_DECREF(others);
    return both;
}

/* A module whose functions are wrapped was imported anew (a test's fresh copy), or for the first
 * time (_posixsubprocess): the new function objects are wrapped too. */
static void
arm_again(PyObject *name)
{
    Py_UCS4 first = PyUnicode_GET_LENGTH(name) == 0 ? 0 : PyUnicode_READ_CHAR(name, 0);
    if (first != 'p' && first != '_') {
        return; /* neither posix, _posixsubprocess, _thread nor _interpreters */
    }
    hook *const *const every[] = {exec_hooks,   spawn_hooks, wait_hooks,       exit_hooks,
                                  thread_hooks, user_hooks,  interpreter_hooks};
    PyObject *refused = NULL; /* owned */
    for (size_t i = 0; i < sizeof(every) / sizeof(every[0]); i++) {
        for (hook *const *at = every[i]; *at != NULL; at++) {
            if ((*at)->wanted && PyUnicode_CompareWithASCIIString(name, (*at)->module) == 0) {
                if (refused == NULL && (refused = PyList_New(0)) == NULL) {
                    PyErr_Clear();
                    return;
                }
                if (hook_arm(*at, refused) < 0) {
                    PyErr_Clear();
                }
            }
        }
    }
    Py_XDECREF(refused);
}

static PyObject *
arm_imports(PyObject *module, PyObject *args)
{
    PyObject *callback, *names;
    if (!PyArg_ParseTuple(args, "OO:arm_imports", &callback, &names) ||
        importhook_arm(callback, names, arm_again) < 0) {
        return NULL;
    }
    return PyList_New(0);
}

static PyMethodDef hooks_methods[] = {
    {"carry_session", carry_session, METH_O,
     "carry_session($module, directory, /)\n--\n\n"
     "Hand this session and this image as its parent to every process started from here."},
    {"session_directory", session_directory, METH_NOARGS,
     "session_directory($module, /)\n--\n\n"
     "The session that this process is measured into, as given to carry_session(); None: none."},
    {"arm_fork", arm_fork, METH_NOARGS,
     "arm_fork($module, /)\n--\n\nGive every forked child a journal of its own at once, whatever "
     "user it becomes."},
    {"arm_exec", arm_exec, METH_NOARGS,
     "arm_exec($module, /)\n--\n\nTell of exec calls and carry the session through them."},
    {"arm_spawn", arm_spawn, METH_NOARGS,
     "arm_spawn($module, /)\n--\n\nTell of started programs and carry the session to them."},
    {"arm_wait", arm_wait, METH_NOARGS,
     "arm_wait($module, /)\n--\n\nTell how the children that this process reaps ended."},
    {"arm_exit", arm_exit, METH_NOARGS, "arm_exit($module, /)\n--\n\nTell how this process ends."},
    {"arm_threads", arm_threads, METH_NOARGS,
     "arm_threads($module, /)\n--\n\n"
     "Count new threads, and measure each from its first line."},
    {"arm_imports", arm_imports, METH_VARARGS,
     "arm_imports($module, callback, names, /)\n--\n\n"
     "Call callback(name) once after the first import of each of these modules."},
    {NULL, NULL, 0, NULL},
};

int
hooks_add(PyObject *module)
{
    return PyModule_AddFunctions(module, hooks_methods);
}
