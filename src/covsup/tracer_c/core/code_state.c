/* core/code_state.c - what the two cores share: which files are measured, the state of each code
 * object.
 *
 * Threads: see core/code_state.h. A state is attached once; where two threads race for one code
 * object, the loser's is thrown away. Must never know: adapters, the layout of the journal. */
#include "core/code_state.h"

#include "files/by_value.h"
#include "files/canonical_path.h"
#include "plugins/file_tracer.h"
#include "analysis/reachable.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* A global that is a string: new reference, or NULL without an exception. */
static PyObject *
string_global(PyObject *globals, const char *name)
{
    if (globals == NULL || !PyDict_Check(globals)) {
        return NULL;
    }
    PyObject *value = compat_dict_item(globals, name);
    if (value != NULL && !PyUnicode_Check(value)) {
        Py_CLEAR(value);
    }
    return value;
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

/* The text of a module's name (which may be NULL), to be freed; NULL without an exception where it
 * says nothing: a script is `__main__`, and a name that is not UTF-8 matches nothing. */
static char *
usable_module_name(PyObject *name)
{
    const char *text = name != NULL && PyUnicode_Check(name) ? PyUnicode_AsUTF8(name) : NULL;
    PyErr_Clear();
    return text != NULL && strcmp(text, "__main__") != 0 ? strdup(text) : NULL;
}

/* The name of the module that runs `path` with `globals`, as coverage.py names it: a script
 * counts under the name that it could be imported by. To be freed; NULL: no memory. */
static char *
module_name(PyObject *globals, const char *path)
{
    PyObject *value = string_global(globals, "__name__"); /* owned */
    char *name = usable_module_name(value);
    Py_XDECREF(value);
    if (name != NULL) {
        return name;
    }
    PyObject *spec = globals != NULL && PyDict_Check(globals)
                         ? compat_dict_item(globals, "__spec__")
                         : NULL; /* owned */
    if (spec != NULL && spec != Py_None) {
        value = PyObject_GetAttrString(spec, "name"); /* owned; may run Python */
        name = usable_module_name(value);
        Py_XDECREF(value);
    }
    Py_XDECREF(spec);
    PyErr_Clear(); /* no such attribute: nothing to go by */
    if (name == NULL && (name = strdup(base_name(path))) != NULL) {
        char *dot = strrchr(name, '.');
        if (dot != NULL) {
            *dot = '\0';
        }
    }
    return name;
}

/* Whether a look at sys.path would find what it found before. Entries can be of any type, and no
 * code of theirs is run here: they are the same objects, or strings that are equal. */
static bool
is_same_path(PyObject *now, PyObject *before)
{
    if (before == NULL || PyTuple_GET_SIZE(now) != PyTuple_GET_SIZE(before)) {
        return false;
    }
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(now); i++) {
        PyObject *one = PyTuple_GET_ITEM(now, i), *other = PyTuple_GET_ITEM(before, i);
        if (one != other && (!PyUnicode_CheckExact(one) || !PyUnicode_CheckExact(other) ||
                             PyUnicode_Compare(one, other) != 0)) {
            return false;
        }
    }
    return true;
}

static void
free_strings(string_list *list)
{
    for (int i = 0; i < list->count; i++) {
        free(list->items[i]);
    }
    free(list->items);
    *list = (string_list){0};
}

/* Make search_path from sys.path, where that has changed since. -1: exception set. */
static int
refresh_search_path(core *self)
{
    PyObject *path = Py_XNewRef(PySys_GetObject("path"));                             /* owned */
    PyObject *key = path != NULL && PyList_Check(path) ? PyList_AsTuple(path) : NULL; /* owned */
    Py_XDECREF(path);
    if (key == NULL) {
        return PyErr_Occurred() ? -1 : 0;
    }
    if (is_same_path(key, self->search_path_key)) {
        Py_DECREF(key);
        return 0;
    }
    string_list made = {calloc((size_t)PyTuple_GET_SIZE(key) + 1, sizeof(char *)), 0};
    if (made.items == NULL) {
        Py_DECREF(key);
        PyErr_NoMemory();
        return -1;
    }
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(key); i++) {
        PyObject *item = PyTuple_GET_ITEM(key, i);
        PyObject *bytes = NULL; /* owned */
        if (PyUnicode_Check(item) && PyUnicode_FSConverter(item, &bytes)) {
            bool exists = false;
            char *canonical = canonical_path(PyBytes_AS_STRING(bytes), &exists);
            if (canonical != NULL && exists) {
                made.items[made.count++] = canonical;
            } else {
                free(canonical);
            }
        }
        PyErr_Clear(); /* an entry that names no path leads to no file */
        Py_XDECREF(bytes);
    }
    /* Another thread may have come before: the old lists are taken off before they are dropped,
     * for what is dropped may run Python. */
    string_list old = self->search_path;
    PyObject *old_key = self->search_path_key;
    self->search_path = made;
    self->search_path_key = key;
    free_strings(&old);
    Py_XDECREF(old_key);
    return 0;
}

/* The canonical path of a file name, to be freed; NULL where there is none. A relative one is
 * looked for where coverage.py looks: here, then along sys.path. */
static char *
locate(core *self, const char *name)
{
    bool exists = false;
    char *here = canonical_path(name, &exists);
    if (name[0] == '/' || exists) {
        return here;
    }
    for (int i = 0; i < self->search_path.count; i++) {
        const char *directory = self->search_path.items[i];
        char *joined = malloc(strlen(directory) + 1 + strlen(name) + 1);
        if (joined == NULL) {
            break;
        }
        (void)stpcpy(stpcpy(stpcpy(joined, directory), "/"), name);
        char *there = canonical_path(joined, &exists);
        free(joined);
        if (there != NULL && exists) {
            free(here);
            return there;
        }
        free(there);
    }
    return here;
}

/* A module's name with the version of the file at `path` that is there now: whoever imported it has
 * just read it (docs/journal-format.md). To be freed; NULL: out of memory. */
static char *
with_version(const char *module, const char *path)
{
    size_t room = strlen(module) + 64;
    char *text = malloc(room);
    struct stat found = {0};
    if (text == NULL) {
        return NULL;
    }
    bool is_there = stat(path, &found) == 0; /* unlike a member of an archive */
#ifdef __APPLE__
    struct timespec changed = found.st_mtimespec;
#else
    struct timespec changed = found.st_mtim;
#endif
    const long long most = LLONG_MAX / 1000000000 - 1; /* seconds: some 292 years around 1970 */
    if (!is_there || changed.tv_sec > most || changed.tv_sec < -most) {
        strcpy(text, module);
        return text;
    }
    long long ns = (long long)changed.tv_sec * 1000000000 + changed.tv_nsec;
    snprintf(text, room, "%s\n%lld-%lld", module, ns, (long long)found.st_size);
    return text;
}

int
file_policy_apply(core *self, const char *path, PyObject *globals, const char *plugin,
                  source_file **file)
{
    int rc = 0;
    char *module = self->rules.source_pkgs.count > 0 ? module_name(globals, path) : strdup("");
    if (module == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    if (filter_measures(&self->rules, path, module, &self->search_path)) {
        char *described = with_version(module, path);
        *file = described != NULL ? source_file_get(path, described, plugin) : NULL;
        free(described);
        if (*file == NULL) {
            PyErr_NoMemory();
            rc = -1;
        }
    }
    free(module);
    return rc;
}

char *
file_policy_measured_source(core *self, PyObject *filename)
{
    char *path = NULL, *module = NULL;
    struct stat found;
    PyObject *kept = compat_take_exception();              /* owned, or NULL */
    PyObject *bytes = PyUnicode_EncodeFSDefault(filename); /* owned */
    if (bytes != NULL && PyBytes_AS_STRING(bytes)[0] != '<' && refresh_search_path(self) == 0) {
        path = locate(self, PyBytes_AS_STRING(bytes));
    }
    Py_XDECREF(bytes);
    PyErr_Clear(); /* no name that a file can have */
    if (path != NULL && (stat(path, &found) != 0 || (module = module_name(NULL, path)) == NULL ||
                         !filter_measures(&self->rules, path, module, &self->search_path))) {
        free(path);
        path = NULL;
    }
    free(module);
    compat_restore_exception(kept);
    return path;
}

/* The file that code named `name` was loaded from, by the module's __file__, to be freed; NULL
 * where that says nothing else. A .pyc may have been moved since it was compiled: __file__ then
 * knows better, unless the code was compiled from something else altogether. */
static char *
loaded_from(PyObject *globals, const char *name)
{
    PyObject *file = string_global(globals, "__file__"); /* owned */
    const char *text = file != NULL ? PyUnicode_AsUTF8(file) : NULL;
    char *source = text != NULL ? strdup(text) : NULL;
    PyErr_Clear(); /* a __file__ that is not UTF-8 is no better than co_filename */
    Py_XDECREF(file);
    if (source != NULL) {
        if (ends_with(source, ".pyc") || ends_with(source, ".pyo")) {
            source[strlen(source) - 1] = '\0';
        }
        if (strcmp(base_name(source), base_name(name)) == 0) {
            return source;
        }
        free(source);
    }
    return NULL;
}

/* Decide about a file that was never seen before, by its canonical path. */
static int
decide_canonical(core *self, const char *path, PyObject *globals, file_disposition *as)
{
    if (plugins_have_file_tracers(self)) {
        claim *claim = NULL;
        bool measured = false;
        if (plugins_claim(self, path, globals, &claim, &measured) < 0) {
            return -1;
        }
        if (claim != NULL) {
            as->claim = measured ? claim : NULL;
            return 0;
        }
    }
    return file_policy_apply(self, path, globals, "", &as->file);
}

/* Decide about a file name that was never seen before. `*as` stays as it is where it is not
 * measured; -1 with an exception set. */
static int
decide(core *self, const char *name, PyObject *globals, file_disposition *as)
{
    const filter_rules *rules = &self->rules;
    bool bounded = rules->source_dirs.count + rules->source_pkgs.count + rules->include.count > 0;
    if (!bounded && !plugins_have_file_tracers(self) &&
        filter_in_trees(&rules->stdlib_dirs, name)) {
        return 0; /* most files of most programs: no need to look at the disk */
    }
    int rc = 0;
    char *source = loaded_from(globals, name), *canonical = NULL;
    if (source != NULL) {
        name = source;
    }
    if (name[0] == '\0' || name[0] == '<' || strncmp(name, "memory:", 7) == 0) {
        goto done;
    }
    rc = refresh_search_path(self);
    if (rc == 0 && (canonical = locate(self, name)) != NULL) {
        rc = decide_canonical(self, canonical, globals, as);
    }
done:
    free(source);
    free(canonical);
    return rc;
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
    if (refresh_search_path(self) < 0) {
        return NULL;
    }
    source_file *source = NULL;
    const char *name = PyUnicode_AsUTF8(loaded);
    PyErr_Clear(); /* a __file__ that is not UTF-8 cannot be stored */
    char *canonical = name != NULL ? locate(self, name) : NULL;
    if (canonical != NULL && (ends_with(canonical, ".pyc") || ends_with(canonical, ".pyo"))) {
        canonical[strlen(canonical) - 1] = '\0';
    }
    int rc = canonical != NULL ? file_policy_apply(self, canonical, globals, "", &source) : 0;
    free(canonical);
    PyObject *address = rc == 0 ? PyLong_FromVoidPtr(source) : NULL; /* owned */
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
    PyObject *name = string_global(globals, "__name__"); /* owned */
    bool is_main = name != NULL && PyUnicode_CompareWithASCIIString(name, "__main__") == 0;
    Py_XDECREF(name);
    return is_main;
}

/* Code that was sent by value counts as a file of its own. The result gives its lines to the file
 * that has the code. Without a line it is of no interest, so the journal learns of it by its first.
 */
static int
decide_by_value(core *self, PyCodeObject *code, PyObject *globals, file_disposition *as)
{
    source_file *source = NULL;
    PyObject *loaded = string_global(globals, "__file__"); /* owned */
    bool is_measured = loaded == NULL && is_of_main_program(globals);
    if (loaded != NULL && PyUnicode_CheckExact(loaded)) {
        source = source_of_module(self, loaded, globals);
        is_measured = source != NULL;
    }
    Py_XDECREF(loaded);
    if (!is_measured) {
        return PyErr_Occurred() ? -1 : 0;
    }
    char *name = by_value_name(code, source != NULL ? source_file_path(source) : "");
    if (name == NULL) {
        return -1;
    }
    /* Which version of the source its sender had is not known here. */
    char *module = strdup(source != NULL ? source_file_module(source) : "");
    if (module != NULL) {
        module[strcspn(module, "\n")] = '\0';
        as->file = source_file_get(name, module, "");
    }
    free(module);
    free(name);
    if (as->file == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    return 0;
}

/* Decide about a file whose name is not UTF-8. The result cannot hold it, nor can coverage.py's;
 * the journal names the file all the same, so that it is said to be left out. */
static int
decide_undecodable(core *self, PyObject *filename, PyObject *globals, file_disposition *as)
{
    PyObject *bytes = PyUnicode_EncodeFSDefault(filename); /* owned */
    if (bytes == NULL) {
        PyErr_Clear(); /* no name that a file can have */
        return 0;
    }
    int rc = decide(self, PyBytes_AS_STRING(bytes), globals, as);
    Py_DECREF(bytes);
    return rc;
}

static size_t
excluded_slot(const PyObject *name)
{
    uint64_t address = (uint64_t)(uintptr_t)name >> 4;
    return (size_t)((address * UINT64_C(0x9E3779B97F4A7C15)) >> 32) % EXCLUDED_CACHE_SIZE;
}

bool
core_is_excluded(const core *self, const PyCodeObject *code)
{
    const PyObject *name = code->co_filename;
    return self->plugins == NULL && atomic_load_explicit(&self->excluded_cache[excluded_slot(name)],
                                                         memory_order_relaxed) == name;
}

/* core_file_disposition() by the name `filename`, which the caller holds: the code object's own may
 * be replaced (by the import of a .pyc that was moved) while Python runs. */
static bool
file_of_name(core *self, PyCodeObject *code, PyObject *filename, PyObject *globals,
             file_disposition *as)
{
    const char *name = PyUnicode_AsUTF8(filename); /* NULL: not UTF-8 */
    PyErr_Clear();
    if (self->plugins != NULL && self->plugins->load != NULL && name != NULL &&
        plugins_load_if_due(self, name) < 0) {
        return false;
    }
    if (name != NULL && by_value_is_file_name(name)) {
        /* One name for any number of files: it is no key. */
        return decide_by_value(self, code, globals, as) == 0 && as->file != NULL;
    }
    PyObject *known = PyDict_GetItemWithError(self->files, filename); /* borrowed, read at once */
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
    if (name == NULL) {
        if (decide_undecodable(self, filename, globals, as) < 0) {
            return false;
        }
    } else if (name[0] != '<' && decide(self, name, globals, as) < 0) {
        return false;
    }
    source_file *file = as->claim != NULL ? as->claim->file : as->file;
    if (file != NULL) {
        recorded_add_file(file);
    }
    bool stored = false;
    PyObject *address =
        PyLong_FromVoidPtr(as->claim != NULL ? (char *)as->claim + 1 : (char *)as->file);
    if (address != NULL) {
        stored = PyDict_SetItem(self->files, filename, address) == 0;
        Py_DECREF(address);
    }
    if (stored && as->file == NULL && as->claim == NULL && self->plugins == NULL) {
        atomic_store_explicit(&self->excluded_cache[excluded_slot(filename)], Py_NewRef(filename),
                              memory_order_relaxed);
    }
    return stored && (as->file != NULL || as->claim != NULL);
}

bool
core_file_disposition(core *self, PyCodeObject *code, PyObject *globals, file_disposition *as)
{
    *as = (file_disposition){NULL, NULL};
    PyObject *filename = Py_NewRef(code->co_filename); /* owned */
    bool measured = file_of_name(self, code, filename, globals, as);
    Py_DECREF(filename);
    return measured;
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
    if (!compat_put_code_extras((PyObject *)code, state->hidden_extras) &&
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
    state->hidden_extras = NULL;
    return state;
}

code_state *
code_state_of(core *self, PyCodeObject *code)
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
code_state_hide(core *self, PyCodeObject *code)
{
    pthread_mutex_lock(&self->lock);
    code_state *state = state_on(self, code);
    void *room =
        state != NULL ? compat_take_code_extras((PyObject *)code, self->extra_index) : NULL;
    if (room != NULL) {
        state->hidden_extras = room;
        state->next_hidden = atomic_load(&self->taken);
        atomic_store(&self->taken, state);
    }
    pthread_mutex_unlock(&self->lock);
    return room != NULL;
}

void
code_state_show(core *self, PyCodeObject *code)
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
    code_state **link = &owner->dormant;
    while (state->dormant && *link != NULL && *link != state) {
        link = &(*link)->next_dormant;
    }
    if (state->dormant && *link != NULL) {
        *link = state->next_dormant;
    }
    pthread_mutex_unlock(&owner->lock);
#if COMPAT_MONITORING
    branch_table_free(state->flow);
    free(state->here);
#else
    reachable_free(state->reach);
#endif
    free(state->seen);
    free(state->last_origin);
    Py_XDECREF(state->resumable);
    free(state);
}

code_state *
code_state_add(core *self, PyCodeObject *code, file_disposition as)
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
