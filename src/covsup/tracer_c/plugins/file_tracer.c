/* plugins/file_tracer.c - code of files that a coverage.py plugin claims. See file_tracer.h.
 *
 * The plugins are called when coverage.py's C tracer calls them: `file_tracer` once for a file
 * name, `dynamic_source_filename` once for a frame, `line_number_range` at every line. CPython
 * sends no events while an event is handled, so a plugin's own code is not measured.
 *
 * If a plugin raises an Exception for a file, it is switched off for that file, and reported. Other
 * exceptions (KeyboardInterrupt, GreenletExit) were meant for the program and are raised there.
 *
 * Must never know: adapters, which core sends the events. */
#include "plugins/file_tracer.h"

#include "contexts/contexts.h"
#include "contexts/record.h"
#include "files/measured_file.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

int
plugins_set_loader(core *self, PyObject *load)
{
    struct plugins *plugins = calloc(1, sizeof(*plugins));
    if (plugins == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    plugins->load = Py_NewRef(load);
    self->plugins = plugins;
    return 0;
}

/* Is the site module still running? Until it ends, sys.path is not complete. */
static int
in_site_module(void)
{
    PyFrameObject *frame = (PyFrameObject *)Py_XNewRef((PyObject *)PyEval_GetFrame());
    int within = 0;
    while (frame != NULL && within == 0) {
        PyObject *globals = PyFrame_GetGlobals(frame);              /* owned */
        PyObject *name = PyDict_GetItemString(globals, "__name__"); /* borrowed */
        within = name != NULL && PyUnicode_Check(name) &&
                 PyUnicode_CompareWithASCIIString(name, "site") == 0;
        Py_DECREF(globals);
        PyFrameObject *back = PyFrame_GetBack(frame);
        Py_DECREF(frame);
        frame = back;
    }
    Py_XDECREF(frame);
    return within;
}

int
plugins_load_if_due(core *self, const char *name)
{
    struct plugins *plugins = self->plugins;
    /* `python -m` runs modules by runpy. Load the plugins before it imports a package: a plugin may
     * be in the same package, and must not find it half imported. */
    bool due = name[0] != '<' ? !filter_in_trees(&self->rules.stdlib_dirs, name) ||
                                    filter_in_trees(&self->rules.third_dirs, name)
                              : strcmp(name, "<frozen runpy>") == 0;
    if (!due || in_site_module()) {
        return 0;
    }
    PyObject *load = plugins->load;
    plugins->load = NULL;
    PyObject *answer = PyObject_CallNoArgs(load);
    Py_DECREF(load);
    if (answer == NULL) {
        return -1;
    }
    int rc = 0;
    if (answer != Py_None) {
        PyObject *claim, *resolve, *failed, *context;
        if (PyArg_ParseTuple(answer, "OOOO", &claim, &resolve, &failed, &context)) {
            plugins->resolve = Py_NewRef(resolve);
            plugins->failed = Py_NewRef(failed);
            plugins->claim = claim != Py_None ? Py_NewRef(claim) : NULL;
            plugins->context = context != Py_None ? Py_NewRef(context) : NULL;
            PyDict_Clear(self->files); /* so far the plugins were not asked about these */
        } else {
            rc = -1;
        }
    }
    Py_DECREF(answer);
    return rc;
}

/* A plugin may have used frame.f_locals. Drop the snapshot that this made in the frame. */
static void
drop_new_locals(PyFrameObject *frame, bool had_locals)
{
    if (!had_locals) {
        compat_frame_forget_locals(frame);
    }
}

PyObject *
plugins_context(core *self, PyFrameObject *frame)
{
    bool had_locals = compat_frame_has_locals(frame);
    PyObject *label = PyObject_CallOneArg(self->plugins->context, (PyObject *)frame);
    drop_new_locals(frame, had_locals);
    if (label == NULL) {
        /* covsup.plugins catches a plugin's exceptions, so this one was meant for the program.
         * Raise it there again, as soon as the program goes on. */
        if (PyErr_ExceptionMatches(PyExc_KeyboardInterrupt)) {
            PyErr_SetInterrupt();
        }
        PyErr_Clear();
    } else if (label == Py_None) {
        Py_CLEAR(label);
    }
    return label;
}

/* The plugin raised. Disable its claim and return 0. -1: the exception was meant for the program,
 * and is set. */
static int
claim_failed(core *self, claim *claim, const char *what)
{
    if (PyErr_ExceptionMatches(PyExc_RecursionError) || PyErr_ExceptionMatches(PyExc_MemoryError)) {
        PyErr_Clear(); /* the program has reached a limit: not the plugin's failure */
        return 0;
    }
    if (!PyErr_ExceptionMatches(PyExc_Exception)) {
        return -1;
    }
    PyObject *error = compat_take_exception();
    claim->disabled = true;
    PyObject *reported =
        PyObject_CallFunction(self->plugins->failed, "OsO", claim->tracer, what, error);
    Py_XDECREF(error);
    Py_XDECREF(reported);
    if (reported == NULL && PyErr_ExceptionMatches(PyExc_Exception)) {
        PyErr_Clear(); /* the failure cannot be reported */
        return 0;
    }
    return reported == NULL ? -1 : 0;
}

int
plugins_claim(core *self, const char *name, PyObject *globals, claim **found, bool *measured)
{
    PyObject *tracer, *source;
    const char *plugin;
    claim *made = NULL;
    int rc = -1;
    PyObject *text = PyUnicode_DecodeFSDefault(name); /* owned; of a path that may be no UTF-8 */
    PyObject *answer = text == NULL ? NULL : PyObject_CallOneArg(self->plugins->claim, text);
    Py_XDECREF(text);
    if (answer == NULL) {
        return -1;
    }
    if (answer == Py_None) {
        rc = 0;
        goto done;
    }
    if (!PyArg_ParseTuple(answer, "OsO", &tracer, &plugin, &source)) {
        goto done;
    }
    made = calloc(1, sizeof(*made));
    if (made == NULL || (made->plugin = strdup(plugin)) == NULL) {
        PyErr_NoMemory();
        goto done;
    }
    made->filename = PyUnicode_DecodeFSDefault(name);
    if (made->filename == NULL) {
        goto done;
    }
    if (source == Py_None) {
        made->names = PyDict_New();
        if (made->names == NULL) {
            goto done;
        }
        *measured = true;
    } else {
        const char *path = PyUnicode_AsUTF8(source);
        if (path == NULL) {
            PyErr_Clear(); /* a name that is not UTF-8 cannot be stored, for any file */
        } else if (file_policy_apply(self, path, globals, made->plugin, &made->file) < 0) {
            goto done;
        }
        *measured = made->file != NULL;
    }
    made->tracer = Py_NewRef(tracer);
    *found = made;
    made = NULL;
    rc = 0;

done:
    if (made != NULL) {
        Py_XDECREF(made->filename);
        free(made->plugin);
        free(made);
    }
    Py_DECREF(answer);
    return rc;
}

/* The source file of that name, which the plugin gave for a frame. NULL: it is not measured, or an
 * exception is set. */
static source_file *
file_for_name(core *self, claim *claim, PyObject *name, PyFrameObject *frame)
{
    PyObject *known = PyDict_GetItemWithError(claim->names, name); /* borrowed */
    if (known != NULL || PyErr_Occurred()) {
        return known != NULL ? PyLong_AsVoidPtr(known) : NULL;
    }
    source_file *file = NULL;
    PyObject *path = PyObject_CallOneArg(self->plugins->resolve, name);
    if (path == NULL) {
        return NULL;
    }
    const char *text = PyUnicode_AsUTF8(path);
    if (text == NULL) {
        PyErr_Clear();
    } else {
        PyObject *globals = PyFrame_GetGlobals(frame); /* owned */
        int rc = file_policy_apply(self, text, globals, claim->plugin, &file);
        Py_DECREF(globals);
        if (rc < 0) {
            Py_DECREF(path);
            return NULL;
        }
        if (file != NULL) {
            recorded_add_file(file);
        }
    }
    Py_DECREF(path);
    PyObject *address = PyLong_FromVoidPtr(file);
    if (address == NULL || PyDict_SetItem(claim->names, name, address) < 0) {
        file = NULL;
    }
    Py_XDECREF(address);
    return file;
}

/* The source file of `frame`. NULL in `*file`: it is not measured. -1 with an exception set. */
static int
file_of_frame(core *self, claim *claim, PyFrameObject *frame, source_file **file)
{
    if (claim->disabled) {
        return 0;
    }
    if (claim->names == NULL) {
        *file = claim->file;
        return 0;
    }
    bool had_locals = compat_frame_has_locals(frame);
    PyObject *name =
        PyObject_CallMethod(claim->tracer, "dynamic_source_filename", "OO", claim->filename, frame);
    drop_new_locals(frame, had_locals);
    if (name != NULL && name != Py_None) {
        *file = file_for_name(self, claim, name, frame);
    }
    Py_XDECREF(name);
    return PyErr_Occurred() ? claim_failed(self, claim, "dynamic_source_filename") : 0;
}

static int
remember_frame(core *self, PyFrameObject *frame, source_file *file, int last_line)
{
    pthread_mutex_lock(&self->lock);
    frame_entry *entry = frame_table_add(&self->plugins->frames, frame);
    if (entry != NULL) {
        entry->file = file;
        entry->last_line = last_line;
    }
    pthread_mutex_unlock(&self->lock);
    return entry != NULL ? 0 : -1;
}

/* Read what remember_frame() stored. False: nothing. */
static bool
recall_frame(core *self, PyFrameObject *frame, source_file **file, int *last_line)
{
    pthread_mutex_lock(&self->lock);
    frame_entry *entry = frame_table_find(&self->plugins->frames, frame);
    if (entry != NULL) {
        *file = entry->file;
        *last_line = entry->last_line;
    }
    pthread_mutex_unlock(&self->lock);
    return entry != NULL;
}

int
plugin_frame_start(core *self, const code_state *state, PyFrameObject *frame, bool resumed)
{
    source_file *file = NULL;
    int last_line = 0;
    if (resumed && recall_frame(self, frame, &file, &last_line)) {
        return 0; /* a generator resumes at its last line */
    }
    if (file_of_frame(self, state->claim, frame, &file) < 0) {
        return -1;
    }
    return remember_frame(self, frame, file, resumed ? 0 : exit_of(state->code));
}

static bool
unpack_range(PyObject *range, int *from, int *to)
{
    if (!PyTuple_Check(range) || PyTuple_GET_SIZE(range) != 2) {
        PyErr_SetString(PyExc_TypeError, "line_number_range must return a tuple of two numbers");
        return false;
    }
    long first = PyLong_AsLong(PyTuple_GET_ITEM(range, 0));
    long last = PyErr_Occurred() ? -1 : PyLong_AsLong(PyTuple_GET_ITEM(range, 1));
    if (PyErr_Occurred()) {
        return false;
    }
    if (first > INT_MAX - 1 || last > INT_MAX - 1) {
        PyErr_SetString(PyExc_OverflowError, "line_number_range names an impossible line");
        return false;
    }
    *from = first < 0 ? -1 : (int)first;
    *to = last < 0 ? -1 : (int)last;
    return true;
}

int
plugin_frame_line(core *self, const code_state *state, PyFrameObject *frame)
{
    claim *claim = state->claim;
    source_file *file = NULL;
    int last_line = 0;
    if (claim->disabled) {
        return 0;
    }
    if (!recall_frame(self, frame, &file, &last_line)) {
        /* It started before the measurement, or was resumed by throw(), which sends no event. */
        if (plugin_frame_start(self, state, frame, true) < 0) {
            return -1;
        }
        recall_frame(self, frame, &file, &last_line);
    }
    if (file == NULL) {
        return 0;
    }
    int from = -1, to = -1;
    bool had_locals = compat_frame_has_locals(frame);
    PyObject *range = PyObject_CallMethod(claim->tracer, "line_number_range", "O", frame);
    drop_new_locals(frame, had_locals);
    bool good = range != NULL && unpack_range(range, &from, &to);
    Py_XDECREF(range);
    if (!good) {
        return claim_failed(self, claim, "line_number_range");
    }
    if (from == -1) {
        return 0;
    }
    for (int line = from; line <= to && line > 0; line++) {
        if (self->branch && last_line != 0) {
            core_record_arc(self, file, last_line, line);
        } else {
            core_record_line(self, file, line);
        }
        last_line = line;
    }
    return remember_frame(self, frame, file, last_line);
}

void
plugin_frame_return(core *self, const code_state *state, PyFrameObject *frame, bool raises)
{
    source_file *file = NULL;
    int last_line = 0;
    pthread_mutex_lock(&self->lock);
    frame_entry *entry = frame_table_find(&self->plugins->frames, frame);
    if (entry != NULL) {
        file = entry->file;
        last_line = entry->last_line;
        frame_table_remove(&self->plugins->frames, entry);
    }
    pthread_mutex_unlock(&self->lock);
    const int to = exit_of(state->code);
    if (file != NULL && self->branch && last_line != 0 && !raises && to != 0) {
        core_record_arc(self, file, last_line, to);
    }
}
