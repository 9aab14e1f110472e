/* core.c - what the two cores share: which files are measured, the state of each code object.
 *
 * Threads: see core.h. A state is attached once; where two threads race for one code object, the
 * loser's is thrown away.
 * Must never know: adapters, the layout of the journal. */
#include "core.h"

#include "by_value.h"
#include "plugin.h"
#include "reach.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Where a canonical path cannot be had from the system (no such file, no permission), the last
 * component is joined to the canonical path of its directory. */
static bool
canonical_path(const char *path, char *out)
{
    if (realpath(path, out) != NULL) {
        return true;
    }
    if (errno != ENOENT && errno != EACCES && errno != ENOTDIR) {
        return false;
    }
    const char *slash = strrchr(path, '/');
    size_t length = strlen(path);
    if (length >= PATH_MAX) {
        return false;
    }
    if (slash == NULL) {
        if (realpath(".", out) == NULL) {
            return false;
        }
        slash = path - 1;
    } else if (slash == path) {
        out[0] = '\0';
    } else {
        char directory[PATH_MAX];
        memcpy(directory, path, (size_t)(slash - path));
        directory[slash - path] = '\0';
        if (!canonical_path(directory, out)) {
            return false;
        }
    }
    size_t base = strlen(out);
    if (strcmp(out, "/") == 0) {
        base = 0;
    }
    const char *name = slash + 1;
    if (strcmp(name, ".") == 0 || *name == '\0') {
        return true;
    }
    if (strcmp(name, "..") == 0) {
        char *up = strrchr(out, '/');
        if (up != NULL && up != out) {
            *up = '\0';
        }
        return true;
    }
    if (base + 1 + strlen(name) >= PATH_MAX) {
        return false;
    }
    out[base] = '/';
    strcpy(out + base + 1, name);
    return true;
}

/* A global that is a string, borrowed; else NULL. */
static PyObject *
string_global(PyObject *globals, const char *name)
{
    if (globals == NULL || !PyDict_Check(globals)) {
        return NULL;
    }
    PyObject *value = PyDict_GetItemString(globals, name);
    return value != NULL && PyUnicode_Check(value) ? value : NULL;
}

static const char *
base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

static bool
ends_with(const char *text, const char *end)
{
    size_t length = strlen(text), tail = strlen(end);
    return length >= tail && strcmp(text + length - tail, end) == 0;
}

/* The name of the module that runs `path` with `globals`, as coverage.py names it: a script
 * counts under the name that it could be imported by. */
static void
module_name(PyObject *globals, const char *path, char *out, size_t size)
{
    const char *name = NULL;
    PyObject *value = string_global(globals, "__name__");
    PyObject *spec_name = NULL; /* owned */
    if (value != NULL) {
        name = PyUnicode_AsUTF8(value);
    }
    if (name == NULL || strcmp(name, "__main__") == 0) {
        PyErr_Clear(); /* a name that is not UTF-8 matches nothing */
        PyObject *spec = globals != NULL ? PyDict_GetItemString(globals, "__spec__") : NULL;
        if (spec != NULL && spec != Py_None) {
            spec_name = PyObject_GetAttrString(spec, "name");
            if (spec_name != NULL && PyUnicode_Check(spec_name)) {
                const char *full = PyUnicode_AsUTF8(spec_name);
                if (full != NULL && strcmp(full, "__main__") != 0) {
                    name = full;
                }
            }
            PyErr_Clear(); /* no such attribute: nothing to go by */
        }
    }
    if (name == NULL || strcmp(name, "__main__") == 0) {
        snprintf(out, size, "%s", base_name(path));
        char *dot = strrchr(out, '.');
        if (dot != NULL) {
            *dot = '\0';
        }
    } else {
        snprintf(out, size, "%s", name);
    }
    Py_XDECREF(spec_name);
}

/* Make search_path from sys.path, where that has changed since. */
static int
refresh_search_path(core *self)
{
    PyObject *path = PySys_GetObject("path"); /* borrowed */
    if (path == NULL || !PyList_Check(path)) {
        return 0;
    }
    PyObject *key = PyList_AsTuple(path);
    if (key == NULL) {
        return -1;
    }
    if (self->search_path_key != NULL) {
        int same = PyObject_RichCompareBool(key, self->search_path_key, Py_EQ);
        if (same != 0) {
            Py_DECREF(key);
            return same < 0 ? -1 : 0;
        }
    }
    Py_ssize_t count = PyTuple_GET_SIZE(key);
    char **items = calloc((size_t)count + 1, sizeof(char *));
    if (items == NULL) {
        Py_DECREF(key);
        PyErr_NoMemory();
        return -1;
    }
    int used = 0;
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *item = PyTuple_GET_ITEM(key, i);
        PyObject *bytes = NULL;
        if (PyUnicode_Check(item) && PyUnicode_FSConverter(item, &bytes)) {
            char canonical[PATH_MAX];
            if (realpath(PyBytes_AS_STRING(bytes), canonical) != NULL) {
                items[used] = strdup(canonical);
                used += items[used] != NULL;
            }
        }
        PyErr_Clear(); /* an entry that names no path leads to no file */
        Py_XDECREF(bytes);
    }
    for (int i = 0; i < self->search_path.count; i++) {
        free(self->search_path.items[i]);
    }
    free(self->search_path.items);
    self->search_path = (string_list){items, used};
    Py_XSETREF(self->search_path_key, key);
    return 0;
}

/* A relative name is looked for where coverage.py looks: here, then along sys.path. */
static bool
locate(core *self, const char *name, char *out)
{
    if (name[0] != '/') {
        char joined[PATH_MAX];
        if (realpath(name, out) != NULL) {
            return true;
        }
        for (int i = 0; i < self->search_path.count; i++) {
            int length =
                snprintf(joined, sizeof(joined), "%s/%s", self->search_path.items[i], name);
            if (length > 0 && (size_t)length < sizeof(joined) && realpath(joined, out) != NULL) {
                return true;
            }
        }
    }
    return canonical_path(name, out);
}

/* A module's name with the version of the file at `path` that is there now: whoever imported it has
 * just read it (docs/journal-format.md). To be freed; NULL: out of memory. */
static char *
with_version(const char *module, const char *path)
{
    size_t room = strlen(module) + 64;
    char *text = malloc(room);
    struct stat found;
    if (text == NULL) {
        return NULL;
    }
    if (stat(path, &found) != 0) {
        strcpy(text, module); /* such as a member of an archive */
        return text;
    }
#ifdef __APPLE__
    struct timespec changed = found.st_mtimespec;
#else
    struct timespec changed = found.st_mtim;
#endif
    long long ns = (long long)changed.tv_sec * 1000000000 + changed.tv_nsec;
    snprintf(text, room, "%s\n%lld-%lld", module, ns, (long long)found.st_size);
    return text;
}

int
core_apply_rules(core *self, const char *path, PyObject *globals, const char *plugin,
                 source_file **file)
{
    char module[PATH_MAX] = "";
    if (self->rules.source_pkgs.count > 0) {
        module_name(globals, path, module, sizeof(module));
    }
    if (filter_measures(&self->rules, path, module, &self->search_path)) {
        char *described = with_version(module, path);
        *file = described != NULL ? facts_file(path, described, plugin) : NULL;
        free(described);
        if (*file == NULL) {
            PyErr_NoMemory();
            return -1;
        }
    }
    return 0;
}

/* Decide about a file name that was never seen before. `*as` stays as it is where it is not
 * measured; -1 with an exception set. */
static int
decide(core *self, const char *name, PyObject *globals, measured_as *as)
{
    const filter_rules *rules = &self->rules;
    bool bounded = rules->source_dirs.count + rules->source_pkgs.count + rules->include.count > 0;
    if (!bounded && !plugins_claim_files(self) && filter_in_trees(&rules->stdlib_dirs, name)) {
        return 0; /* most files of most programs: no need to look at the disk */
    }
    /* A .pyc may have been moved since it was compiled: __file__ then knows better, unless the
     * code was compiled from something else altogether. */
    char source[PATH_MAX];
    PyObject *dunder_file = string_global(globals, "__file__");
    const char *loaded = dunder_file != NULL ? PyUnicode_AsUTF8(dunder_file) : NULL;
    PyErr_Clear(); /* a __file__ that is not UTF-8 is no better than co_filename */
    if (loaded != NULL && strlen(loaded) < sizeof(source)) {
        strcpy(source, loaded);
        if (ends_with(source, ".pyc") || ends_with(source, ".pyo")) {
            source[strlen(source) - 1] = '\0';
        }
        if (strcmp(base_name(source), base_name(name)) == 0) {
            name = source;
        }
    }
    if (name[0] == '\0' || name[0] == '<' || strncmp(name, "memory:", 7) == 0) {
        return 0;
    }
    char canonical[PATH_MAX];
    if (refresh_search_path(self) < 0) {
        return -1;
    }
    if (!locate(self, name, canonical)) {
        return 0;
    }
    if (plugins_claim_files(self)) {
        claim *claim = NULL;
        bool measured = false;
        if (plugins_ask(self, canonical, globals, &claim, &measured) < 0) {
            return -1;
        }
        if (claim != NULL) {
            as->claim = measured ? claim : NULL;
            return 0;
        }
    }
    return core_apply_rules(self, canonical, globals, "", &as->file);
}

/* The source of a module whose `__file__` is `loaded`, as a measured file; NULL: it is none, or
 * with an exception set. What was found is remembered: code is sent again with every task. */
static source_file *
source_of_module(core *self, PyObject *loaded, PyObject *globals)
{
    PyObject *known = PyDict_GetItemWithError(self->sources, loaded); /* borrowed */
    if (known != NULL || PyErr_Occurred()) {
        return known != NULL ? PyLong_AsVoidPtr(known) : NULL;
    }
    source_file *source = NULL;
    char canonical[PATH_MAX];
    if (refresh_search_path(self) < 0) {
        return NULL;
    }
    const char *name = PyUnicode_AsUTF8(loaded);
    PyErr_Clear(); /* a __file__ that is not UTF-8 cannot be stored */
    if (name != NULL && locate(self, name, canonical)) {
        if (ends_with(canonical, ".pyc") || ends_with(canonical, ".pyo")) {
            canonical[strlen(canonical) - 1] = '\0';
        }
        if (core_apply_rules(self, canonical, globals, "", &source) < 0) {
            return NULL;
        }
    }
    PyObject *address = PyLong_FromVoidPtr(source); /* owned */
    if (address == NULL || PyDict_SetItem(self->sources, loaded, address) < 0) {
        source = NULL;
    }
    Py_XDECREF(address);
    return source;
}

/* Is code with these globals, which name no file, perhaps the program's own (of a notebook, a
 * prompt, or -c) rather than generated by a library? */
static bool
is_of_main_program(PyObject *globals)
{
    PyObject *name = string_global(globals, "__name__");
    return name != NULL && PyUnicode_CompareWithASCIIString(name, "__main__") == 0;
}

/* Code that was sent by value counts as a file of its own. The result gives its lines to the file
 * that has the code. Without a line it is of no interest, so the journal learns of it by its first.
 */
static int
decide_by_value(core *self, PyCodeObject *code, PyObject *globals, measured_as *as)
{
    source_file *source = NULL;
    PyObject *loaded = Py_XNewRef(string_global(globals, "__file__"));
    bool is_measured = loaded == NULL && is_of_main_program(globals);
    if (loaded != NULL && PyUnicode_CheckExact(loaded)) {
        source = source_of_module(self, loaded, globals);
        is_measured = source != NULL;
    }
    Py_XDECREF(loaded);
    if (!is_measured) {
        return PyErr_Occurred() ? -1 : 0;
    }
    char *name = by_value_name(code, source != NULL ? facts_path(source) : "");
    if (name == NULL) {
        return -1;
    }
    /* Which version of the source its sender had is not known here. */
    char *module = strdup(source != NULL ? facts_module(source) : "");
    if (module != NULL) {
        module[strcspn(module, "\n")] = '\0';
        as->file = facts_file(name, module, "");
    }
    free(module);
    free(name);
    if (as->file == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    return 0;
}

static size_t
left_out_slot(const PyObject *name)
{
    uint64_t address = (uint64_t)(uintptr_t)name >> 4;
    return (size_t)((address * UINT64_C(0x9E3779B97F4A7C15)) >> 32) % LEFT_OUT;
}

bool
core_leaves_out(const core *self, const PyCodeObject *code)
{
    const PyObject *name = code->co_filename;
    return self->plugins == NULL &&
           atomic_load_explicit(&self->left_out[left_out_slot(name)], memory_order_relaxed) == name;
}

bool
core_file_of(core *self, PyCodeObject *code, PyObject *globals, measured_as *as)
{
    *as = (measured_as){NULL, NULL};
    /* A name that is not UTF-8 cannot be stored in the result, as in coverage.py. */
    const char *name = PyUnicode_AsUTF8(code->co_filename);
    PyErr_Clear();
    if (self->plugins != NULL && self->plugins->load != NULL && name != NULL &&
        plugins_load_if_due(self, name) < 0) {
        return false;
    }
    if (name != NULL && by_value_is(name)) {
        /* One name for any number of files: it is no key. */
        return decide_by_value(self, code, globals, as) == 0 && as->file != NULL;
    }
    PyObject *known = PyDict_GetItemWithError(self->files, code->co_filename); /* borrowed */
    if (known != NULL) {
        char *address = PyLong_AsVoidPtr(known);
        if (((uintptr_t)address & 1) != 0) {
            as->claim = (claim *)(address - 1);
        } else {
            as->file = (source_file *)address;
        }
        return address != NULL;
    }
    if (PyErr_Occurred()) {
        return false;
    }
    if (name != NULL && name[0] != '<' && decide(self, name, globals, as) < 0) {
        return false;
    }
    source_file *file = as->claim != NULL ? as->claim->file : as->file;
    if (file != NULL) {
        facts_touch(file);
    }
    bool stored = false;
    PyObject *address =
        PyLong_FromVoidPtr(as->claim != NULL ? (char *)as->claim + 1 : (char *)as->file);
    if (address != NULL) {
        stored = PyDict_SetItem(self->files, code->co_filename, address) == 0;
        Py_DECREF(address);
    }
    if (stored && as->file == NULL && as->claim == NULL && self->plugins == NULL) {
        atomic_store_explicit(&self->left_out[left_out_slot(code->co_filename)],
                              Py_NewRef(code->co_filename), memory_order_relaxed);
    }
    return stored && (as->file != NULL || as->claim != NULL);
}

static code_state *
state_on(core *self, PyCodeObject *code)
{
    void *extra = NULL;
    if (compat_get_code_extra((PyObject *)code, self->extra_index, &extra) < 0) {
        PyErr_Clear(); /* only where `code` is no code object, which no event sends */
    }
    return extra;
}

/* Put a hidden state back; with the lock. NULL: there is none. */
static code_state *
show_state(core *self, PyCodeObject *code)
{
    code_state *before = NULL, *state = atomic_load(&self->taken);
    while (state != NULL && state->code != code) {
        before = state;
        state = state->next_hidden;
    }
    if (state == NULL) {
        return NULL;
    }
    /* What others have put there in this moment stays, and the old room, which a reader may still
     * look at, is left behind. */
    if (!compat_put_code_extras((PyObject *)code, state->taken_off) &&
        compat_set_code_extra((PyObject *)code, self->extra_index, state) < 0) {
        PyErr_Clear();
        return state; /* it stays hidden, and is found here */
    }
    if (before != NULL) {
        before->next_hidden = state->next_hidden;
    } else {
        atomic_store(&self->taken, state->next_hidden);
    }
    state->next_hidden = NULL;
    state->taken_off = NULL;
    return state;
}

code_state *
core_state_of(core *self, PyCodeObject *code)
{
    code_state *state = state_on(self, code);
    if (state == NULL && atomic_load_explicit(&self->taken, memory_order_relaxed) != NULL) {
        pthread_mutex_lock(&self->lock);
        state = show_state(self, code);
        pthread_mutex_unlock(&self->lock);
    }
    return state;
}

bool
core_hide_state(core *self, PyCodeObject *code)
{
    pthread_mutex_lock(&self->lock);
    code_state *state = state_on(self, code);
    void *room =
        state != NULL ? compat_take_code_extras((PyObject *)code, self->extra_index) : NULL;
    if (room != NULL) {
        state->taken_off = room;
        state->next_hidden = atomic_load(&self->taken);
        atomic_store(&self->taken, state);
    }
    pthread_mutex_unlock(&self->lock);
    return room != NULL;
}

void
core_show_state(core *self, PyCodeObject *code)
{
    pthread_mutex_lock(&self->lock);
    (void)show_state(self, code);
    pthread_mutex_unlock(&self->lock);
}

/* Called by CPython when a code object dies. */
static void
release_state(void *extra)
{
    code_state *state = extra;
    if (state == NULL) {
        return;
    }
    core *owner = state->owner;
    pthread_mutex_lock(&owner->lock);
    if (state->previous != NULL) {
        state->previous->next = state->next;
    } else if (owner->states == state) {
        owner->states = state->next;
    }
    if (state->next != NULL) {
        state->next->previous = state->previous;
    }
    code_state **link = &owner->asleep;
    while (*link != NULL && *link != state) {
        link = &(*link)->next_asleep;
    }
    if (*link != NULL) {
        *link = state->next_asleep;
    }
    pthread_mutex_unlock(&owner->lock);
#if COMPAT_MONITORING
    flow_free(state->flow);
    free(state->here);
#else
    reach_free(state->reach);
#endif
    free(state->seen);
    free(state->came_from);
    Py_XDECREF(state->resumable);
    free(state);
}

code_state *
core_add_state(core *self, PyCodeObject *code, measured_as as)
{
    code_state *state = calloc(1, sizeof(*state));
    if (state == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    state->owner = self;
    state->code = code;
    state->file = as.file;
    state->claim = as.claim;
    pthread_mutex_lock(&self->lock);
    /* Under our lock also because setting an extra is not thread-safe in free-threaded builds
     * (cpython #144981). */
    code_state *there = state_on(self, code);
    if (there == NULL) {
        there = show_state(self, code);
    }
    if (there == NULL && compat_set_code_extra((PyObject *)code, self->extra_index, state) == 0) {
        state->next = self->states;
        if (self->states != NULL) {
            self->states->previous = state;
        }
        self->states = state;
        there = state;
    }
    pthread_mutex_unlock(&self->lock);
    if (there != state) {
        free(state);
    }
    return there;
}

int
core_prepare(core *self)
{
    self->files = PyDict_New();
    self->sources = PyDict_New();
    if (self->files == NULL || self->sources == NULL) {
        return -1;
    }
    self->extra_index = compat_request_code_extra(release_state);
    if (self->extra_index < 0) {
        PyErr_SetString(PyExc_RuntimeError, "no place is left for data about code objects");
        return -1;
    }
    return 0;
}
