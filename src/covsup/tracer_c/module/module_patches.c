/* module/module_patches.c - the module's functions that patch functions of CPython.
 *
 * Must never know: what a patch does, what a fact is. */
#include "module/module_patches.h"

#include "process/session_variables.h"
#include "process/patches.h"
#include "cpython/import_hook.h"

/* Install the patches of a list. Returns a list of those that could not be installed, as
 * "module.name: reason". */
static PyObject *
install_all(builtin_patch *const *patches)
{
    PyObject *skipped = PyList_New(0); /* owned */
    for (; skipped != NULL && *patches != NULL; patches++) {
        if (patch_install(*patches, skipped) < 0) {
            Py_CLEAR(skipped);
        }
    }
    return skipped;
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
    static const char done[] = "covsup.fork"; /* in the interpreter's dict: already registered */
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
    PyObject *skipped = install_all(thread_patches), *others; /* owned */
    if (skipped == NULL || (others = install_all(interpreter_patches)) == NULL) {
        Py_XDECREF(skipped);
        return NULL;
    }
    PyObject *both = PySequence_InPlaceConcat(skipped, others); /* owned */
    Py_DECREF(skipped);
    Py_DECREF(others);
    return both;
}

/* Patch the functions of a module that was imported after patch_*() was called: for the first time
 * (_posixsubprocess), or a fresh copy, which tests make. */
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
    PyObject *skipped = NULL; /* owned */
    for (size_t i = 0; i < sizeof(every) / sizeof(every[0]); i++) {
        for (builtin_patch *const *at = every[i]; *at != NULL; at++) {
            if ((*at)->wanted && PyUnicode_CompareWithASCIIString(name, (*at)->module) == 0) {
                if (skipped == NULL && (skipped = PyList_New(0)) == NULL) {
                    PyErr_Clear();
                    return;
                }
                if (patch_install(*at, skipped) < 0) {
                    PyErr_Clear();
                }
            }
        }
    }
    Py_XDECREF(skipped);
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
     "Pass this session on to every process that this one starts, with this image as parent."},
    {"session_directory", session_directory, METH_NOARGS,
     "session_directory($module, /)\n--\n\n"
     "The directory that propagate_session() was given last; None: it was not called."},
    {"patch_fork", patch_fork, METH_NOARGS,
     "patch_fork($module, /)\n--\n\nMake a journal in every forked child, whichever user it "
     "becomes."},
    {"patch_exec", patch_exec, METH_NOARGS,
     "patch_exec($module, /)\n--\n\nRecord exec calls, and pass the session on through them."},
    {"patch_spawn", patch_spawn, METH_NOARGS,
     "patch_spawn($module, /)\n--\n\nRecord started programs, and pass the session on to them."},
    {"patch_wait", patch_wait, METH_NOARGS,
     "patch_wait($module, /)\n--\n\nRecord how the children end that this process waits for."},
    {"patch_exit", patch_exit, METH_NOARGS,
     "patch_exit($module, /)\n--\n\nRecord how this process ends."},
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
