/* module/module.c - the extension module covsup.tracer_c._tracer, which starts measurement.
 *
 * Threads: with an attached thread state, at interpreter start.
 * Must never know: adapters; how a core or the journal does its work. */
#include "core/interpreter.h"

#include <stdlib.h>
#include <string.h>

#include "contexts/scopes.h"
#include "contexts/kinds.h"
#include "contexts/contexts.h"
#include "process/privileges.h"
#include "module/module_contexts.h"
#include "module/module_core.h"
#include "module/module_detach.h"
#include "module/module_patches.h"
#include "journal/journal.h"
#include "settrace/library_tracers.h"
#include "plugins/file_tracer.h"
#include "monitoring/monitoring_core.h"
#include "settrace/foreign_threads.h"
#include "settrace/settrace_core.h"
#include "settrace/untraced_frames.h"
#include "module/module_embed.h"

static core *
core_of_module(PyObject *module)
{
    return ((module_state *)PyModule_GetState(module))->core;
}

PyDoc_STRVAR(is_setuid_process_doc,
             "is_setuid_process()\n--\n\n"
             "Whether this program has rights that the user who started it lacks.");

static PyObject *
is_setuid_process(PyObject *module, PyObject *unused)
{
    return PyBool_FromLong(privileges_are_elevated());
}

PyDoc_STRVAR(start_journal_doc,
             "start_journal(directory, monitoring, branch, covsup_parent)\n--\n\n"
             "Make the journal of this process image in the session directory (bytes).\n\n"
             "`monitoring` says which core its facts come from; `covsup_parent` is the value of\n"
             "COVSUP_PARENT (bytes) or None. Raises OSError.");

static PyObject *
start_journal(PyObject *module, PyObject *args)
{
    const char *directory, *parent;
    int monitoring, branch;
    if (!PyArg_ParseTuple(args, "yppz", &directory, &monitoring, &branch, &parent)) {
        return NULL;
    }
    journal_settings settings = {
        .directory = directory,
        .python_hexversion = PY_VERSION_HEX,
        .core = monitoring ? JOURNAL_CORE_MONITORING : JOURNAL_CORE_SETTRACE,
        .flags = branch ? JOURNAL_FLAG_BRANCH : 0,
    };
    if (journal_start(&settings, parent) < 0) {
        return PyErr_SetFromErrnoWithFilename(PyExc_OSError, journal_start_error());
    }
    Py_RETURN_NONE;
}

PyDoc_STRVAR(property_doc,
             "property(key, value)\n--\n\n"
             "Store a property of this image in its journal: `key` is a str, `value` bytes.");

static PyObject *
property(PyObject *module, PyObject *args)
{
    const char *key, *value;
    Py_ssize_t size;
    if (!PyArg_ParseTuple(args, "sy#", &key, &value, &size)) {
        return NULL;
    }
    journal_property(key, value, (size_t)size);
    Py_RETURN_NONE;
}

/* Appends an event with a payload of bytes. The journal counts an event that it cannot store. */
static PyObject *
append_event(unsigned kind, PyObject *payload)
{
    char *data;
    Py_ssize_t size;
    if (PyBytes_AsStringAndSize(payload, &data, &size) < 0) {
        return NULL;
    }
    journal_event(kind, data, (size_t)size);
    Py_RETURN_NONE;
}

PyDoc_STRVAR(note_doc, "note(text)\n--\n\n"
                       "Append a note (bytes) to the journal.");

static PyObject *
note(PyObject *module, PyObject *text)
{
    return append_event(EVENT_NOTE, text);
}

PyDoc_STRVAR(record_library_doc,
             "record_library(name_and_version)\n--\n\n"
             "Record in the journal that the program uses a concurrency library: its\n"
             "name, NUL, and its version (bytes).");

static PyObject *
record_library(PyObject *module, PyObject *name_and_version)
{
    return append_event(EVENT_LIBRARY, name_and_version);
}

PyDoc_STRVAR(parent_value_doc,
             "parent_value()\n--\n\n"
             "The value of COVSUP_PARENT for the children of this image; empty before\n"
             "start_journal().");

static PyObject *
parent_value(PyObject *module, PyObject *unused)
{
    char buffer[JOURNAL_PARENT_SIZE];
    return PyUnicode_FromString(journal_parent_value(buffer));
}

static void
free_list(string_list *list)
{
    for (int i = 0; i < list->count; i++) {
        free(list->items[i]);
    }
    free(list->items);
}

/* Convert a list of str to C strings in the file system's encoding. -1: exception set; the
 * caller then frees `out`. */
static int
convert_list(PyObject *list, string_list *out)
{
    Py_ssize_t count = PyList_GET_SIZE(list);
    out->items = calloc((size_t)count + 1, sizeof(char *));
    out->count = 0;
    if (out->items == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *item = PyList_GetItem(list, i); /* borrowed */
        PyObject *bytes = NULL;
        int converted = 0;
        if (item != NULL) {
            Py_INCREF(item);
            converted = PyUnicode_FSConverter(item, &bytes);
            Py_DECREF(item);
        }
        if (!converted) {
            return -1;
        }
        out->items[out->count] = strdup(PyBytes_AS_STRING(bytes));
        Py_DECREF(bytes);
        if (out->items[out->count] == NULL) {
            PyErr_NoMemory();
            return -1;
        }
        out->count++;
    }
    return 0;
}

PyDoc_STRVAR(configure_doc,
             "configure(*, source_dirs, source_pkgs, include, omit, stdlib_dirs, third_dirs, "
             "own_dirs, branch)\n--\n\n"
             "Say which files are measured (lists of str), and whether branches are.");

static PyObject *
configure(PyObject *module, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"source_dirs", "source_pkgs", "include", "omit", "stdlib_dirs",
                            "third_dirs",  "own_dirs",    "branch",  NULL};
    PyObject *lists[7];
    int branch;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "$O!O!O!O!O!O!O!p", names, &PyList_Type,
                                     &lists[0], &PyList_Type, &lists[1], &PyList_Type, &lists[2],
                                     &PyList_Type, &lists[3], &PyList_Type, &lists[4], &PyList_Type,
                                     &lists[5], &PyList_Type, &lists[6], &branch)) {
        return NULL;
    }
    filter_rules rules = {0};
    string_list *parts[] = {&rules.source_dirs, &rules.source_pkgs, &rules.include, &rules.omit,
                            &rules.stdlib_dirs, &rules.third_dirs,  &rules.own_dirs};
    for (int i = 0; i < 7; i++) {
        if (convert_list(lists[i], parts[i]) < 0) {
            for (int made = 0; made <= i; made++) {
                free_list(parts[made]);
            }
            return NULL;
        }
    }
    core *self = core_of_module(module);
    self->rules = rules;
    self->branch = branch != 0;
    Py_RETURN_NONE;
}

PyDoc_STRVAR(start_contexts_doc,
             "start_contexts(kinds, inherited)\n--\n\n"
             "Prepare for contexts. `kinds` names those to record, `inherited` is the label of\n"
             "the context that started this process, or empty.");

static PyObject *
start_contexts(PyObject *module, PyObject *args)
{
    static const struct {
        segment_kind kind;
        const char *name;
    } known[] = {
#define KIND(kind, name) {kind, name},
        CONTEXT_KINDS(KIND)
#undef KIND
            {SEGMENT_PLUGIN,
             "plugin"}, /* named by covsup, where coverage.py's plugins have contexts */
    };
    PyObject *kinds, *inherited;
    unsigned bits = 0;
    if (!PyArg_ParseTuple(args, "O!U", &PyList_Type, &kinds, &inherited)) {
        return NULL;
    }
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(kinds); i++) {
        const char *name = PyUnicode_AsUTF8(PyList_GET_ITEM(kinds, i));
        if (name == NULL) {
            return NULL;
        }
        for (size_t at = 0; at < sizeof(known) / sizeof(known[0]); at++) {
            bits |= strcmp(name, known[at].name) == 0 ? KIND_BIT(known[at].kind) : 0;
        }
    }
    if (contexts_start(core_of_module(module), bits, inherited) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

PyDoc_STRVAR(set_plugin_loader_doc,
             "set_plugin_loader(load)\n--\n\n"
             "Call `load` before the first file of the program runs. It returns None or the\n"
             "functions (claim, resolve, failed, context) of covsup.plugins.");

static PyObject *
set_plugin_loader(PyObject *module, PyObject *load)
{
    if (plugins_set_loader(core_of_module(module), load) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

/* Make the module's core that of the interpreter, and start it. */
static PyObject *
start_core(PyObject *module, int (*start)(core *))
{
    core *self = core_of_module(module);
    if (interpreter_set_core(self) < 0 || start(self) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

PyDoc_STRVAR(start_monitoring_doc, "start_monitoring()\n--\n\nMeasure by sys.monitoring.");

static PyObject *
start_monitoring(PyObject *module, PyObject *unused)
{
#if COMPAT_MONITORING
    return start_core(module, monitoring_start);
#else
    PyErr_SetString(PyExc_RuntimeError, "the monitoring core needs Python 3.12 or later");
    return NULL;
#endif
}

PyDoc_STRVAR(start_settrace_doc, "start_settrace()\n--\n\nMeasure by a C trace function.");

static PyObject *
start_settrace(PyObject *module, PyObject *unused)
{
    return start_core(module, settrace_start);
}

PyDoc_STRVAR(
    start_untraced_doc,
    "start_untraced()\n--\n\n"
    "Send no events for frames whose code is fully recorded; False where that is not possible.");

static PyObject *
start_untraced(PyObject *module, PyObject *unused)
{
    core *self = interpreter_core();
    return PyBool_FromLong(self != NULL && untraced_start(self));
}

PyDoc_STRVAR(stop_untraced_doc, "stop_untraced()\n--\n\nSend events for every frame again.");

static PyObject *
stop_untraced(PyObject *module, PyObject *unused)
{
    core *self = interpreter_core();
    if (self != NULL) {
        core_require_all_frames(self);
    }
    Py_RETURN_NONE;
}

PyDoc_STRVAR(watch_foreign_threads_doc,
             "watch_foreign_threads()\n--\n\n"
             "Measure the threads that C code creates, too; False: not possible.");

static PyObject *
watch_foreign_threads(PyObject *module, PyObject *unused)
{
    core *self = interpreter_core();
    return PyBool_FromLong(self == NULL || foreign_threads_watch(self));
}

PyDoc_STRVAR(patch_greenlet_doc, "patch_greenlet()\n--\n\n"
                                 "Measure the trace function that the target gives to greenlet.\n\n"
                                 "Returns what could not be patched, as \"module.name: reason\".");

static PyObject *
patch_greenlet(PyObject *module, PyObject *unused)
{
    scope_follow_greenlets();
    return library_tracers_install_greenlet();
}

PyDoc_STRVAR(patch_c_tracer_doc, "patch_c_tracer(type)\n--\n\n"
                                 "Keep measuring when a tracer written in C starts.\n\n"
                                 "Returns what could not be patched, as \"module.name: reason\".");

static PyObject *
patch_c_tracer(PyObject *module, PyObject *type)
{
    if (!PyType_Check(type)) {
        return PyErr_Format(PyExc_TypeError, "a type is expected, not %R", type);
    }
    return library_tracers_install_c_tracer((PyTypeObject *)type);
}

PyDoc_STRVAR(glob_matches_doc, "glob_matches(pattern, path)\n--\n\n"
                               "Whether coverage.py's file pattern matches the whole path.");

static PyObject *
glob_matches(PyObject *module, PyObject *args)
{
    const char *pattern, *path;
    if (!PyArg_ParseTuple(args, "ss", &pattern, &path)) {
        return NULL;
    }
    return PyBool_FromLong(filter_glob(pattern, path));
}

static PyMethodDef methods[] = {
    {"is_setuid_process", is_setuid_process, METH_NOARGS, is_setuid_process_doc},
    {"start_journal", start_journal, METH_VARARGS, start_journal_doc},
    {"property", property, METH_VARARGS, property_doc},
    {"note", note, METH_O, note_doc},
    {"record_library", record_library, METH_O, record_library_doc},
    {"parent_value", parent_value, METH_NOARGS, parent_value_doc},
    {"configure", (PyCFunction)(void (*)(void))configure, METH_VARARGS | METH_KEYWORDS,
     configure_doc},
    {"start_contexts", start_contexts, METH_VARARGS, start_contexts_doc},
    {"set_plugin_loader", set_plugin_loader, METH_O, set_plugin_loader_doc},
    {"start_monitoring", start_monitoring, METH_NOARGS, start_monitoring_doc},
    {"start_settrace", start_settrace, METH_NOARGS, start_settrace_doc},
    {"start_untraced", start_untraced, METH_NOARGS, start_untraced_doc},
    {"stop_untraced", stop_untraced, METH_NOARGS, stop_untraced_doc},
    {"watch_foreign_threads", watch_foreign_threads, METH_NOARGS, watch_foreign_threads_doc},
    {"patch_greenlet", patch_greenlet, METH_NOARGS, patch_greenlet_doc},
    {"patch_c_tracer", patch_c_tracer, METH_O, patch_c_tracer_doc},
    {"glob_matches", glob_matches, METH_VARARGS, glob_matches_doc},
    {NULL, NULL, 0, NULL},
};

static int
module_exec(PyObject *module)
{
    if (module_new_core(module) < 0) {
        return -1;
    }
    /* Not in the module's definition: faulthandler lists modules with functions there in its report
     * of a crash. */
    if (PyModule_AddFunctions(module, methods) < 0 || module_contexts_add(module) < 0 ||
        module_patches_add(module) < 0 || module_detach_add(module) < 0) {
        return -1;
    }
    return module_embed_add(module);
}

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, module_exec},
#ifdef Py_MOD_PER_INTERPRETER_GIL_SUPPORTED
    {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
#endif
    {0, NULL},
};

PyDoc_STRVAR(module_doc, "covsup's cores, patches and journal, for bootstrap.py and concurrency/.");

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, .m_name = "covsup.tracer_c._tracer",
    .m_doc = module_doc,   .m_size = sizeof(module_state),
    .m_slots = slots,
};

PyMODINIT_FUNC
PyInit__tracer(void)
{
    return PyModuleDef_Init(&definition);
}
