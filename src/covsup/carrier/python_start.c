/* python_start.c - measure a Python in this process, if there is one, from its first line.
 *
 * A Python in the program, or in a library that it is linked with, accepts an audit hook before it
 * is initialised (PEP 578). Its events show when the interpreter is complete and about to run the
 * program's code: `cpython.run_*` however `python` was started, `exec` for code that an embedding
 * program runs. By then covsup's startup file has run, if it is installed. If not, carrier/start.py
 * does its work.
 *
 * This file is compiled without Python's headers and works with every version from 3.9 on: the
 * functions that it calls have not changed since.
 * Threads: the hook runs with an attached thread state, in any thread and interpreter.
 * Must never know: which functions start programs, how a process is measured. */
#define _GNU_SOURCE
#include "python_start.h"

#include <dlfcn.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "passed_variables.h"
#include "audit_hook.h"

/* From dlsym(). Set once before main(). */
static struct {
    int (*is_initialized)(void);
    void *(*this_interpreter)(void);
    int64_t (*interpreter_id)(void *);
    PyObject *(*interpreter_dict)(void *);           /* borrowed */
    PyObject *(*modules)(void);                      /* borrowed */
    PyObject *(*get_item)(PyObject *, const char *); /* borrowed; sets no exception */
    int (*set_item)(PyObject *, const char *, PyObject *);
    PyObject *(*get_attribute)(PyObject *, const char *);
    PyObject *(*call_method)(PyObject *, const char *, const char *, ...);
    PyObject *(*decode)(const char *);
    int (*is_true)(PyObject *);
    void (*clear_error)(void);
    void (*acquire)(PyObject *); /* both take NULL */
    void (*release)(PyObject *);
} py;

#define DONE "covsup.carrier"

static atomic_bool main_is_done;

/* An imported module, owned; NULL without an exception. */
static PyObject *
imported(PyObject *modules, const char *name)
{
    PyObject *module = py.get_item(modules, name); /* borrowed */
    py.acquire(module);
    return module;
}

/* Whether the interpreter is complete: __main__ exists, which is made last, and the site module,
 * which runs the startup files, is imported or will not be. */
static bool
is_complete(PyObject *modules)
{
    PyObject *site = imported(modules, "site"); /* owned */
    if (site == NULL) {
        return py.get_item(modules, "__main__") != NULL;
    }
    PyObject *spec = py.get_attribute(site, "__spec__"); /* owned */
    PyObject *initializing =
        spec != NULL ? py.get_attribute(spec, "_initializing") : NULL; /* owned */
    bool importing = initializing != NULL && py.is_true(initializing) > 0;
    py.release(initializing);
    py.release(spec);
    py.release(site);
    py.clear_error();
    return !importing;
}

/* Load carrier/start.py from beside this library, without sys.path and sys.meta_path. The module,
 * owned; NULL with an exception set. */
static PyObject *
load_start(PyObject *modules)
{
    const char *library = environment_library();
    size_t directory = (size_t)(strrchr(library, '/') + 1 - library);
    char *path = malloc(directory + sizeof("start.py")); /* too large for a small stack */
    if (path == NULL) {
        return NULL;
    }
    memcpy(path, library, directory);
    strcpy(path + directory, "start.py");
    PyObject *file = py.decode(path); /* owned, like all that follow */
    free(path);
    PyObject *inner = imported(modules, "_frozen_importlib");
    PyObject *outer = imported(modules, "_frozen_importlib_external");
    PyObject *spec = NULL, *module = NULL;
    if (inner != NULL && outer != NULL && file != NULL) {
        spec = py.call_method(outer, "spec_from_file_location", "sO", "covsup.carrier.start", file);
    }
    if (spec != NULL) {
        module = py.call_method(inner, "_load", "O", spec);
    }
    py.release(spec);
    py.release(file);
    py.release(inner);
    py.release(outer);
    return module;
}

/* Measure this interpreter, unless the startup file has. */
static void
start_measurement(PyObject *modules)
{
    if (py.get_item(modules, "covsup.bootstrap") == NULL) {
        PyObject *start = load_start(modules);                                       /* owned */
        PyObject *session = start != NULL ? py.decode(environment_session()) : NULL; /* owned */
        PyObject *result =
            session != NULL ? py.call_method(start, "start", "O", session) : NULL; /* owned */
        py.release(result);
        py.release(session);
        py.release(start);
        /* The program goes on unmeasured. The supervisor sees that it has no journal, and reports
         * it. */
        py.clear_error();
    } else {
        /* The startup file runs in sub-interpreters, too, so the hook is not needed. */
        audit_hook_remove();
    }
    environment_on_python_started();
}

static void
check_interpreter(bool complete)
{
    void *interpreter = py.this_interpreter();
    bool is_main = py.interpreter_id(interpreter) == 0;
    if (is_main && atomic_load_explicit(&main_is_done, memory_order_relaxed)) {
        return;
    }
    PyObject *dict = py.interpreter_dict(interpreter);      /* borrowed */
    PyObject *modules = dict != NULL ? py.modules() : NULL; /* borrowed */
    if (modules == NULL || py.get_item(dict, DONE) != NULL ||
        (!complete && !is_complete(modules))) {
        return;
    }
    /* Set the mark first: the code below causes audit events, too. */
    PyObject *mark = py.decode(""); /* owned */
    int rc = mark != NULL ? py.set_item(dict, DONE, mark) : -1;
    py.release(mark);
    if (rc < 0) {
        py.clear_error();
        return;
    }
    if (is_main) {
        atomic_store_explicit(&main_is_done, true, memory_order_relaxed);
    }
    start_measurement(modules);
}

static int
on_audit(const char *event, PyObject *arguments, void *unused)
{
    (void)arguments;
    (void)unused;
    bool runs = strncmp(event, "cpython.run_", sizeof("cpython.run_") - 1) == 0;
    if ((runs || strcmp(event, "exec") == 0) && py.is_initialized()) {
        check_interpreter(runs);
    } else if (strcmp(event, "cpython._PySys_ClearAuditHooks") == 0) {
        audit_hook_on_finalize();
    }
    return 0;
}

void
python_start(void)
{
    static const struct {
        void *function;
        const char *name;
    } wanted[] = {
        {&py.is_initialized, "Py_IsInitialized"},
        {&py.this_interpreter, "PyInterpreterState_Get"},
        {&py.interpreter_id, "PyInterpreterState_GetID"},
        {&py.interpreter_dict, "PyInterpreterState_GetDict"},
        {&py.modules, "PyImport_GetModuleDict"},
        {&py.get_item, "PyDict_GetItemString"},
        {&py.set_item, "PyDict_SetItemString"},
        {&py.get_attribute, "PyObject_GetAttrString"},
        {&py.call_method, "PyObject_CallMethod"},
        {&py.decode, "PyUnicode_DecodeFSDefault"},
        {&py.is_true, "PyObject_IsTrue"},
        {&py.clear_error, "PyErr_Clear"},
        {&py.acquire, "Py_IncRef"},
        {&py.release, "Py_DecRef"},
    };
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        void *found = dlsym(RTLD_DEFAULT, wanted[i].name);
        if (found == NULL) {
            return; /* no Python, or one before 3.9 */
        }
        memcpy(wanted[i].function, &found, sizeof(found));
    }
    (void)audit_hook_add(on_audit);
}
