/* module/module_patches.c - the module functions that put our wrappers in place.
 *
 * Threads: with an attached thread state only.
 * Must never know: what a fact is. */
#include "module/module_patches.h"

#include "process/environ.h"
#include "process/patches.h"
#include "cpython/import_hook.h"

/* Each arm_*() returns the list of what could not be wrapped, as "module.name: why". */
static PyObject *
install_all(builtin_patch *const *hooks)
{
    PyObject *refused = PyList_New(0); /* owned */
    for (; refused != NULL && *hooks != NULL; hooks++) {
        if (patch_install(*hooks, refused) < 0) {
            Py_CLEAR(refused);
        }
    }
    return refused;
}

static PyObject *
propagate_session(PyObject *module, PyObject *directory)
{
    PyObject *encoded = NULL; /* owned */
    if (!PyUnicode_FSConverter(directory, &encoded)) {
        return NULL;
    }
    int rc = environ_start(PyBytes_AS_STRING(encoded));
    Py_DECREF(encoded);
    if (rc < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *
session_directory(PyObject *module, PyObject *Py_UNUSED(none))
{
    const char *directory = environ_session();
    if (directory == NULL) {
        Py_RETURN_NONE;
    }
    return PyUnicode_DecodeFSDefault(directory);
}

static PyObject *
patch_fork(PyObject *module, PyObject *Py_UNUSED(none))
{
    static const char done[] = "covsup.fork";
    PyObject *dict = PyInterpreterState_GetDict(PyInterpreterState_Get()); /* borrowed */
    if (dict == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "this interpreter keeps no state for extensions");
        return NULL;
    }
    if (PyDict_GetItemString(dict, done) == NULL) {
        if (PyDict_SetItemString(dict, done, Py_True) < 0 || register_after_fork() < 0) {
            return NULL;
        }
    }
    return install_all(setuid_patches);
}

static PyObject *
patch_exec(PyObject *module, PyObject *Py_UNUSED(none))
{
    return install_all(exec_patches);
}

static PyObject *
patch_spawn(PyObject *module, PyObject *Py_UNUSED(none))
{
    return install_all(spawn_patches);
}

static PyObject *
patch_wait(PyObject *module, PyObject *Py_UNUSED(none))
{
    return install_all(wait_patches);
}

static PyObject *
patch_exit(PyObject *module, PyObject *Py_UNUSED(none))
{
    return register_exit_handler() < 0 ? NULL : install_all(exit_patches);
}

static PyObject *
patch_threads(PyObject *module, PyObject *Py_UNUSED(none))
{
    PyObject *refused = install_all(thread_patches), *others; /* owned */
    if (refused == NULL || (others = install_all(interpreter_patches)) == NULL) {
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
install_again(PyObject *name)
{
    Py_UCS4 first = PyUnicode_GET_LENGTH(name) == 0 ? 0 : PyUnicode_READ_CHAR(name, 0);
    if (first != 'p' && first != '_') {
        return; /* neither posix, _posixsubprocess, _thread nor _interpreters */
    }
    builtin_patch *const *const every[] = {exec_patches,       spawn_patches,  wait_patches,
                                           exit_patches,       thread_patches, setuid_patches,
                                           interpreter_patches};
    PyObject *refused = NULL; /* owned */
    for (size_t i = 0; i < sizeof(every) / sizeof(every[0]); i++) {
        for (builtin_patch *const *at = every[i]; *at != NULL; at++) {
            if ((*at)->wanted && PyUnicode_CompareWithASCIIString(name, (*at)->module) == 0) {
                if (refused == NULL && (refused = PyList_New(0)) == NULL) {
                    PyErr_Clear();
                    return;
                }
                if (patch_install(*at, refused) < 0) {
                    PyErr_Clear();
                }
            }
        }
    }
    Py_XDECREF(refused);
}

static PyObject *
watch_imports(PyObject *module, PyObject *args)
{
    PyObject *callback, *names;
    if (!PyArg_ParseTuple(args, "OO:watch_imports", &callback, &names) ||
        import_hook_install(callback, names, install_again) < 0) {
        return NULL;
    }
    return PyList_New(0);
}

static PyMethodDef methods[] = {
    {"propagate_session", propagate_session, METH_O,
     "propagate_session($module, directory, /)\n--\n\n"
     "Hand this session and this image as its parent to every process started from here."},
    {"session_directory", session_directory, METH_NOARGS,
     "session_directory($module, /)\n--\n\n"
     "The session that this process is measured into, as given to propagate_session(); None: "
     "none."},
    {"patch_fork", patch_fork, METH_NOARGS,
     "patch_fork($module, /)\n--\n\nGive every forked child a journal of its own at once, whatever "
     "user it becomes."},
    {"patch_exec", patch_exec, METH_NOARGS,
     "patch_exec($module, /)\n--\n\nTell of exec calls and carry the session through them."},
    {"patch_spawn", patch_spawn, METH_NOARGS,
     "patch_spawn($module, /)\n--\n\nTell of started programs and carry the session to them."},
    {"patch_wait", patch_wait, METH_NOARGS,
     "patch_wait($module, /)\n--\n\nTell how the children that this process reaps ended."},
    {"patch_exit", patch_exit, METH_NOARGS,
     "patch_exit($module, /)\n--\n\nTell how this process ends."},
    {"patch_threads", patch_threads, METH_NOARGS,
     "patch_threads($module, /)\n--\n\n"
     "Count new threads, and measure each from its first line."},
    {"watch_imports", watch_imports, METH_VARARGS,
     "watch_imports($module, callback, names, /)\n--\n\n"
     "Call callback(name) once after the first import of each of these modules."},
    {NULL, NULL, 0, NULL},
};

int
module_patches_add(PyObject *module)
{
    return PyModule_AddFunctions(module, methods);
}
