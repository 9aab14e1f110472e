/* gathered.c - the type `Gathered`: the union of what any number of images executed.
 *
 * Per file and context: the lines and the arcs. Per file: for each line the earliest image that
 * executed it, and whether others did. It grows with the lines, not with the images.
 * Must never know: how a journal is written, what a process is. */
#include "facts.h"

#include <stdlib.h>

/* An image as the owner of lines. Earlier ones win. */
typedef struct {
    uint64_t started_ns;
    PyObject *image_id; /* str */
} owner;

typedef struct {
    uint32_t owner;
    line_set lines;
} owned_lines;

typedef struct {
    PyObject *path;     /* str */
    PyObject *modules;  /* set of str, or NULL */
    owned_lines *first; /* no line is in two of them */
    size_t first_used, first_room;
    uint32_t youngest; /* no owner in `first` is younger */
    line_set known;    /* the union of `first` */
    line_set shared;   /* executed by more than one image */
    /* Of the image that is being added. */
    line_set now;
    bool is_told;
} file_facts;

/* A file in a context. */
typedef struct {
    bool has_lines, has_arcs;
    line_set lines;
    arc_set arcs;
} key_facts;

/* A file or a context of the image that is being added: its id there, and its number here. */
typedef struct {
    uint32_t id, order, number;
} local_name;

typedef struct {
    local_name *items;
    size_t used, room;
} local_names;

typedef struct {
    PyObject_HEAD PyObject
        *definitions;     /* bytes, path NUL module -> number of a file, or the path if unusable */
    PyObject *paths;      /* str -> number of a file */
    PyObject *labels;     /* str -> number of a context */
    PyObject *label_list; /* list of str */
    PyObject *owner_numbers; /* (started_ns, image id) -> number of an owner */
    file_facts *files;
    size_t files_used, files_room;
    owner *owners;
    size_t owners_used, owners_room;
    key_index keys; /* file number << 32 | context number */
    key_facts *facts;
    size_t facts_room;
} gathered_object;

#define UNKNOWN UINT32_MAX

/* What one image adds, and what could not be used of it. */
typedef struct {
    gathered_object *self;
    local_names files, contexts;
    uint32_t owner;
    bool owner_is_new, branch;
    uint64_t lines, undefined, far;
    PyObject *unusable; /* list of paths that are no UTF-8 */
    PyObject *unnamed;  /* set of context ids */
} addition;

/* The number of `key` in `dict`; what is new is numbered `next`. */
static int64_t
number_in(PyObject *dict, PyObject *key, size_t next)
{
    PyObject *known = PyDict_GetItemWithError(dict, key); /* borrowed */
    if (known != NULL) {
        return PyLong_AsLongLong(known);
    }
    PyObject *number = PyErr_Occurred() ? NULL : PyLong_FromSize_t(next);
    int rc = number == NULL ? -1 : PyDict_SetItem(dict, key, number);
    Py_XDECREF(number);
    return rc < 0 ? -1 : (int64_t)next;
}

static int
add_local(local_names *names, uint32_t id, uint32_t number)
{
    local_name *moved = grown(names->items, names->used, &names->room, sizeof(*moved));
    if (moved == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    names->items = moved;
    names->items[names->used] =
        (local_name){.id = id, .order = (uint32_t)names->used, .number = number};
    names->used++;
    return 0;
}

static int
by_id(const void *left, const void *right)
{
    const local_name *one = left, *other = right;
    if (one->id != other->id) {
        return one->id < other->id ? -1 : 1;
    }
    return one->order < other->order ? -1 : one->order > other->order;
}

/* Sorts names by id; of those with one id the last one counts. */
static void
settle_names(local_names *names)
{
    if (names->used > 1) {
        qsort(names->items, names->used, sizeof(*names->items), by_id);
    }
    size_t kept = 0;
    for (size_t at = 0; at < names->used; at++) {
        if (kept > 0 && names->items[kept - 1].id == names->items[at].id) {
            kept--;
        }
        names->items[kept++] = names->items[at];
    }
    names->used = kept;
}

static uint32_t
number_of(const local_names *names, uint32_t id)
{
    size_t begin = 0, end = names->used;
    while (begin < end) {
        size_t middle = begin + (end - begin) / 2;
        if (names->items[middle].id < id) {
            begin = middle + 1;
        } else {
            end = middle;
        }
    }
    return begin < names->used && names->items[begin].id == id ? names->items[begin].number
                                                               : UNKNOWN;
}

/* The number of a file; its path may be known by another module name. */
static int64_t
new_file(gathered_object *self, PyObject *path, const char *module, size_t module_size)
{
    file_facts *moved = grown(self->files, self->files_used, &self->files_room, sizeof(*moved));
    if (moved == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    self->files = moved;
    int64_t number = number_in(self->paths, path, self->files_used);
    if (number == (int64_t)self->files_used) {
        self->files[self->files_used++] = (file_facts){.path = Py_NewRef(path)};
    }
    if (number < 0 || module_size == 0) {
        return number;
    }
    file_facts *file = &self->files[number];
    if (file->modules == NULL && (file->modules = PySet_New(NULL)) == NULL) {
        return -1;
    }
    PyObject *name = PyUnicode_DecodeUTF8(module, (Py_ssize_t)module_size, "surrogateescape");
    int rc = name == NULL ? -1 : PySet_Add(file->modules, name);
    Py_XDECREF(name);
    return rc < 0 ? -1 : number;
}

/* What `definitions` is to say of a file: its number, or its path where that is no UTF-8. */
static PyObject *
define(gathered_object *self, const char *text, const definition *one)
{
    PyObject *path = PyUnicode_DecodeUTF8(text, (Py_ssize_t)one->size, NULL);
    if (path == NULL) {
        if (!PyErr_ExceptionMatches(PyExc_UnicodeDecodeError)) {
            return NULL;
        }
        PyErr_Clear();
        return PyUnicode_DecodeUTF8(text, (Py_ssize_t)one->size, "surrogateescape");
    }
    int64_t number = new_file(self, path, text + one->size + 1, one->module);
    Py_DECREF(path);
    return number < 0 ? NULL : PyLong_FromLongLong(number);
}

static int
add_file(addition *add, const sorted_words *words, const definition *one)
{
    gathered_object *self = add->self;
    const char *text = (const char *)words->texts + one->at;
    PyObject *key = PyBytes_FromStringAndSize(text, (Py_ssize_t)one->size + 1 + one->module);
    if (key == NULL) {
        return -1;
    }
    int rc = -1;
    PyObject *known = Py_XNewRef(PyDict_GetItemWithError(self->definitions, key));
    if (known == NULL && !PyErr_Occurred()) {
        known = define(self, text, one);
        if (known != NULL && PyDict_SetItem(self->definitions, key, known) < 0) {
            Py_CLEAR(known);
        }
    }
    if (known != NULL && PyUnicode_Check(known)) {
        rc = PyList_Append(add->unusable, known);
    } else if (known != NULL) {
        uint32_t number = (uint32_t)PyLong_AsUnsignedLong(known);
        rc = add_local(&add->files, one->id, number);
    }
    Py_XDECREF(known);
    Py_DECREF(key);
    return rc;
}

static int64_t
label_number(gathered_object *self, PyObject *label)
{
    size_t next = (size_t)PyList_GET_SIZE(self->label_list);
    int64_t number = number_in(self->labels, label, next);
    if (number == (int64_t)next && PyList_Append(self->label_list, label) < 0) {
        return -1;
    }
    return number;
}

/* A label as coverage.py's file can hold it. */
static PyObject *
label_of(const char *text, Py_ssize_t size)
{
    PyObject *label = PyUnicode_DecodeUTF8(text, size, NULL);
    if (label != NULL || !PyErr_ExceptionMatches(PyExc_UnicodeDecodeError)) {
        return label;
    }
    PyErr_Clear();
    PyObject *escaped = PyUnicode_DecodeUTF8(text, size, "surrogateescape");
    PyObject *encoded =
        escaped == NULL ? NULL : PyUnicode_AsEncodedString(escaped, "utf-8", "backslashreplace");
    Py_XDECREF(escaped);
    if (encoded != NULL) {
        label = PyUnicode_FromEncodedObject(encoded, "utf-8", NULL);
        Py_DECREF(encoded);
    }
    return label;
}

/* `of_session` is the static context's label: the two are joined as coverage.py joins them. */
static int
add_context(addition *add, const sorted_words *words, const definition *one, PyObject *of_session)
{
    PyObject *label = label_of((const char *)words->texts + one->at, (Py_ssize_t)one->size);
    if (label != NULL && PyUnicode_GET_LENGTH(of_session) > 0) {
        Py_SETREF(label, PyUnicode_GET_LENGTH(label) == 0
                             ? Py_NewRef(of_session)
                             : PyUnicode_FromFormat("%U|%U", of_session, label));
    }
    int64_t number = label == NULL ? -1 : label_number(add->self, label);
    Py_XDECREF(label);
    return number < 0 ? -1 : add_local(&add->contexts, one->id, (uint32_t)number);
}

/* The facts of a file in a context. */
static key_facts *
facts_of(gathered_object *self, uint32_t file, uint32_t label)
{
    uint64_t key = (uint64_t)file << 32 | label;
    uint32_t number = key_index_find(&self->keys, key);
    if (number == KEY_MISSING) {
        key_facts *moved = grown(self->facts, self->keys.used, &self->facts_room, sizeof(*moved));
        if (moved != NULL) {
            self->facts = moved;
            number = key_index_add(&self->keys, key);
        }
        if (number == KEY_MISSING) {
            PyErr_NoMemory();
            return NULL;
        }
        self->facts[number] = (key_facts){0};
    }
    return &self->facts[number];
}

/* Adds the lines that arcs name. */
static int
add_ends(line_set *lines, const arc_set *arcs)
{
    int32_t largest = 0;
    if (arcs->used > 0) {
        int32_t last = arc_from(arcs->arcs[arcs->used - 1]); /* they are sorted by it */
        largest = last > 0 ? last : 0;
    }
    for (size_t at = 0; at < arcs->used; at++) {
        int32_t to = arc_to(arcs->arcs[at]);
        largest = to > largest ? to : largest;
    }
    if (line_set_reach(lines, (uint32_t)largest / 64 + 1) < 0) {
        return -1;
    }
    for (size_t at = 0; at < arcs->used; at++) {
        int32_t from = arc_from(arcs->arcs[at]), to = arc_to(arcs->arcs[at]);
        line_set_add(lines, from > 0 ? (uint32_t)from : 0);
        line_set_add(lines, to > 0 ? (uint32_t)to : 0);
    }
    lines->blocks[0] &= ~UINT64_C(1);
    return 0;
}

static int
add_owned(addition *add, uint64_t key, const owned_facts *found)
{
    gathered_object *self = add->self;
    uint32_t context = (uint32_t)key;
    uint32_t file_number = number_of(&add->files, (uint32_t)(key >> 32));
    if (file_number == UNKNOWN) {
        add->undefined += line_set_count(&found->lines) + found->arcs.used;
        return 0;
    }
    uint32_t label = number_of(&add->contexts, context);
    if (label == UNKNOWN) {
        /* The fact is worth more than its label. */
        label = number_of(&add->contexts, 0);
        PyObject *id = PyLong_FromUnsignedLong(context);
        int rc = id == NULL ? -1 : PySet_Add(add->unnamed, id);
        Py_XDECREF(id);
        if (rc < 0) {
            return -1;
        }
    }
    key_facts *facts = facts_of(self, file_number, label);
    if (facts == NULL) {
        return -1;
    }
    file_facts *file = &self->files[file_number];
    file->is_told = true;
    bool full = false;
    if (found->lines.used > 0) {
        facts->has_lines = true;
        full = line_set_unite(&facts->lines, &found->lines) < 0 ||
               line_set_unite(&file->now, &found->lines) < 0;
        if (!full) {
            facts->lines.blocks[0] &= ~UINT64_C(1);
            file->now.blocks[0] &= ~UINT64_C(1);
        }
    }
    if (found->arcs.used > 0 && !full) {
        full = add_ends(&file->now, &found->arcs) < 0;
        if (add->branch) {
            facts->has_arcs = true;
            full = full || arc_set_unite(&facts->arcs, &found->arcs) < 0;
        } else {
            facts->has_lines = true;
            full = full || add_ends(&facts->lines, &found->arcs) < 0;
        }
    }
    if (full) {
        PyErr_NoMemory();
        return -1;
    }
    return 0;
}

static bool
is_earlier(const gathered_object *self, uint32_t one, uint32_t other)
{
    const owner *left = &self->owners[one], *right = &self->owners[other];
    if (left->started_ns != right->started_ns) {
        return left->started_ns < right->started_ns;
    }
    return PyUnicode_Compare(left->image_id, right->image_id) < 0;
}

/* Takes from `lines` what is in `others`; gives whether anything was. */
static bool
without(line_set *lines, const line_set *others)
{
    uint64_t any = 0;
    for (uint32_t at = 0; at < lines->used && at < others->used; at++) {
        any |= lines->blocks[at] & others->blocks[at];
        lines->blocks[at] &= ~others->blocks[at];
    }
    return any != 0;
}

/* Adds to `into` what both others have. -1: no memory. */
static int
add_common(line_set *into, const line_set *one, const line_set *other)
{
    uint32_t blocks = one->used < other->used ? one->used : other->used;
    if (line_set_reach(into, blocks) < 0) {
        return -1;
    }
    for (uint32_t at = 0; at < blocks; at++) {
        into->blocks[at] |= one->blocks[at] & other->blocks[at];
    }
    return 0;
}

static void
shrink_to_lines(file_facts *file)
{
    size_t kept = 0;
    for (size_t at = 0; at < file->first_used; at++) {
        if (line_set_size(&file->first[at].lines) == 0) {
            line_set_free(&file->first[at].lines);
        } else {
            file->first[kept++] = file->first[at];
        }
    }
    file->first_used = kept;
}

/* Takes from `lines` what others of the file have and keep, and from them what they lose. Gives the
 * place of the owner's own lines among them, or `first_used`. -1: no memory. */
static int64_t
compare_with_all(const addition *add, file_facts *file, line_set *lines)
{
    size_t mine = file->first_used;
    bool lost = false;
    for (size_t at = 0; at < file->first_used; at++) {
        owned_lines *other = &file->first[at];
        if (other->owner == add->owner) {
            continue;
        }
        if (add_common(&file->shared, lines, &other->lines) < 0) {
            return -1;
        }
        if (is_earlier(add->self, add->owner, other->owner)) {
            lost = without(&other->lines, lines) || lost;
        } else {
            without(lines, &other->lines);
        }
    }
    if (lost) {
        shrink_to_lines(file);
    }
    for (mine = 0; mine < file->first_used && file->first[mine].owner != add->owner;) {
        mine++;
    }
    return (int64_t)mine;
}

/* A line belongs to the earliest image that executed it: brings in the lines of this one. Images
 * come oldest first as a rule, and then those before keep what they have. */
static int
share_out(const addition *add, file_facts *file)
{
    line_set *lines = &file->now;
    int64_t mine = (int64_t)file->first_used;
    bool is_youngest = file->first_used == 0 || is_earlier(add->self, file->youngest, add->owner);
    if (add->owner_is_new && is_youngest) {
        if (add_common(&file->shared, lines, &file->known) < 0) {
            return -1;
        }
        without(lines, &file->known);
    } else {
        mine = compare_with_all(add, file, lines);
        if (mine < 0) {
            return -1;
        }
    }
    if (line_set_size(lines) == 0) {
        return 0;
    }
    if (mine == (int64_t)file->first_used) {
        owned_lines *moved =
            grown(file->first, file->first_used, &file->first_room, sizeof(*moved));
        if (moved == NULL) {
            return -1;
        }
        file->first = moved;
        file->first[file->first_used++] = (owned_lines){.owner = add->owner};
    }
    if (is_youngest) {
        file->youngest = add->owner;
    }
    return line_set_unite(&file->first[mine].lines, lines) < 0
               ? -1
               : line_set_unite(&file->known, lines);
}

static int
add_sorted(addition *add, const sorted_words *words)
{
    for (uint32_t at = 0; at < words->keys.used; at++) {
        if (add_owned(add, words->keys.keys[at], &words->owned[at]) < 0) {
            return -1;
        }
    }
    for (size_t at = 0; at < words->far_used; at++) {
        bool known = number_of(&add->files, (uint32_t)(words->far[at].key >> 32)) != UNKNOWN;
        add->far += known;
        add->undefined += !known;
    }
    return 0;
}

/* Once all facts of an image are in: its files without facts, and who executed what first. */
static int
conclude(addition *add)
{
    gathered_object *self = add->self;
    uint32_t no_label = number_of(&add->contexts, 0);
    for (size_t at = 0; at < add->files.used; at++) {
        uint32_t number = add->files.items[at].number;
        file_facts *file = &self->files[number];
        if (!file->is_told) {
            /* Code of it ran that has no line: an empty module. */
            key_facts *facts = facts_of(self, number, no_label);
            if (facts == NULL) {
                return -1;
            }
            facts->has_lines = true;
            file->is_told = true; /* it may have two ids */
        }
        uint64_t count = line_set_count(&file->now);
        if (count > 0) {
            add->lines += count;
            if (share_out(add, file) < 0) {
                PyErr_NoMemory();
                return -1;
            }
        }
        file->now.used = 0;
    }
    for (size_t at = 0; at < add->files.used; at++) {
        self->files[add->files.items[at].number].is_told = false;
    }
    return 0;
}

/* Definitions of all segments first: a later one relies on what an earlier one defined. */
static int
add_names(addition *add, PyObject *segments, PyObject *label)
{
    int64_t no_label = label_number(add->self, label);
    if (no_label < 0 || add_local(&add->contexts, 0, (uint32_t)no_label) < 0) {
        return -1;
    }
    for (Py_ssize_t at = 0; at < PyTuple_GET_SIZE(segments); at++) {
        const sorted_words *words = &((sorted_object *)PyTuple_GET_ITEM(segments, at))->words;
        for (size_t each = 0; each < words->files.used; each++) {
            if (add_file(add, words, &words->files.items[each]) < 0) {
                return -1;
            }
        }
        for (size_t each = 0; each < words->contexts.used; each++) {
            if (add_context(add, words, &words->contexts.items[each], label) < 0) {
                return -1;
            }
        }
    }
    settle_names(&add->files);
    settle_names(&add->contexts);
    return 0;
}

static int
add_owner(addition *add, unsigned long long started_ns, PyObject *image_id)
{
    gathered_object *self = add->self;
    owner *moved = grown(self->owners, self->owners_used, &self->owners_room, sizeof(*moved));
    if (moved == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    self->owners = moved;
    PyObject *key = Py_BuildValue("(KO)", started_ns, image_id);
    int64_t number = key == NULL ? -1 : number_in(self->owner_numbers, key, self->owners_used);
    Py_XDECREF(key);
    if (number < 0) {
        return -1;
    }
    add->owner = (uint32_t)number;
    add->owner_is_new = number == (int64_t)self->owners_used;
    if (add->owner_is_new) {
        self->owners[self->owners_used++] =
            (owner){.started_ns = started_ns, .image_id = Py_NewRef(image_id)};
    }
    return 0;
}

PyDoc_STRVAR(
    add_doc,
    "add(segments, started_ns, image_id, label, branch)\n--\n\n"
    "Take in what one image executed; `label` is that of context 0.\n\n"
    "Gives how many lines it executed, and of how many files; how many facts are of files\n"
    "that are not defined; how many are beyond the largest line; the paths that are no\n"
    "UTF-8, and the ids of contexts that are not defined. After a MemoryError nothing of\n"
    "the object is good.");

static PyObject *
add_image(gathered_object *self, PyObject *args)
{
    facts_state *state = PyType_GetModuleState(Py_TYPE(self));
    PyObject *segments, *image_id, *label;
    unsigned long long started_ns;
    addition add = {.self = self};
    int branch;
    if (!PyArg_ParseTuple(args, "O!KUUp", &PyTuple_Type, &segments, &started_ns, &image_id, &label,
                          &branch)) {
        return NULL;
    }
    for (Py_ssize_t at = 0; at < PyTuple_GET_SIZE(segments); at++) {
        if (!Py_IS_TYPE(PyTuple_GET_ITEM(segments, at), state->sorted_type)) {
            PyErr_SetString(PyExc_TypeError, "segments are Sorted");
            return NULL;
        }
    }
    add.branch = branch;
    PyObject *result = NULL;
    add.unusable = PyList_New(0);
    add.unnamed = PySet_New(NULL);
    int rc = add.unusable == NULL || add.unnamed == NULL ? -1 : 0;
    rc = rc < 0 ? rc : add_owner(&add, started_ns, image_id);
    rc = rc < 0 ? rc : add_names(&add, segments, label);
    for (Py_ssize_t at = 0; rc == 0 && at < PyTuple_GET_SIZE(segments); at++) {
        rc = add_sorted(&add, &((sorted_object *)PyTuple_GET_ITEM(segments, at))->words);
    }
    if (rc == 0 && conclude(&add) == 0) {
        result = Py_BuildValue("(KnKKOO)", (unsigned long long)add.lines,
                               (Py_ssize_t)add.files.used, (unsigned long long)add.undefined,
                               (unsigned long long)add.far, add.unusable, add.unnamed);
    }
    free(add.files.items);
    free(add.contexts.items);
    Py_XDECREF(add.unusable);
    Py_XDECREF(add.unnamed);
    return result;
}

/* Both are taken. */
static int
set_item(PyObject *dict, PyObject *key, PyObject *value)
{
    int rc = key == NULL || value == NULL ? -1 : PyDict_SetItem(dict, key, value);
    Py_XDECREF(key);
    Py_XDECREF(value);
    return rc;
}

static int
tell_facts(gathered_object *self, PyObject *lines, PyObject *arcs)
{
    for (uint32_t at = 0; at < self->keys.used; at++) {
        uint64_t key = self->keys.keys[at];
        const key_facts *facts = &self->facts[at];
        PyObject *path = self->files[key >> 32].path;
        PyObject *label = PyList_GetItem(self->label_list, (Py_ssize_t)(key & UINT32_MAX));
        if (label == NULL) {
            return -1;
        }
        if (facts->has_lines &&
            set_item(lines, PyTuple_Pack(2, path, label), lines_as_int(&facts->lines)) < 0) {
            return -1;
        }
        if (facts->has_arcs &&
            set_item(arcs, PyTuple_Pack(2, path, label), arcs_as_bytes(&facts->arcs)) < 0) {
            return -1;
        }
    }
    return 0;
}

static PyObject *
first_of(const gathered_object *self, const file_facts *file)
{
    PyObject *by_owner = PyDict_New();
    for (size_t at = 0; by_owner != NULL && at < file->first_used; at++) {
        const owner *who = &self->owners[file->first[at].owner];
        if (set_item(by_owner,
                     Py_BuildValue("(KO)", (unsigned long long)who->started_ns, who->image_id),
                     lines_as_int(&file->first[at].lines)) < 0) {
            Py_CLEAR(by_owner);
        }
    }
    return by_owner;
}

static int
tell_file(const gathered_object *self, const file_facts *file, PyObject *modules, PyObject *first,
          PyObject *shared)
{
    if (file->modules != NULL &&
        set_item(modules, Py_NewRef(file->path), PyFrozenSet_New(file->modules)) < 0) {
        return -1;
    }
    if (file->first_used > 0 && set_item(first, Py_NewRef(file->path), first_of(self, file)) < 0) {
        return -1;
    }
    if (line_set_size(&file->shared) > 0) {
        return set_item(shared, Py_NewRef(file->path), lines_as_int(&file->shared));
    }
    return 0;
}

PyDoc_STRVAR(result_doc,
             "result()\n--\n\n"
             "The union: lines, arcs, modules, first and shared, as a Result has them.");

static PyObject *
result(gathered_object *self, PyObject *unused)
{
    PyObject *lines = PyDict_New(), *arcs = PyDict_New(), *modules = PyDict_New();
    PyObject *first = PyDict_New(), *shared = PyDict_New();
    PyObject *all = NULL;
    if (lines == NULL || arcs == NULL || modules == NULL || first == NULL || shared == NULL ||
        tell_facts(self, lines, arcs) < 0) {
        goto done;
    }
    for (size_t at = 0; at < self->files_used; at++) {
        if (tell_file(self, &self->files[at], modules, first, shared) < 0) {
            goto done;
        }
    }
    all = PyTuple_Pack(5, lines, arcs, modules, first, shared);
done:
    Py_XDECREF(lines);
    Py_XDECREF(arcs);
    Py_XDECREF(modules);
    Py_XDECREF(first);
    Py_XDECREF(shared);
    return all;
}

static PyObject *
new_gathered(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    facts_state *state = PyType_GetModuleState(type);
    static char *names[] = {NULL};
    if (state == NULL || !PyArg_ParseTupleAndKeywords(args, kwargs, "", names)) {
        return NULL;
    }
    gathered_object *self = (gathered_object *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    self->keys.seed = state->seed;
    self->definitions = PyDict_New();
    self->paths = PyDict_New();
    self->labels = PyDict_New();
    self->label_list = PyList_New(0);
    self->owner_numbers = PyDict_New();
    if (self->definitions == NULL || self->paths == NULL || self->labels == NULL ||
        self->label_list == NULL || self->owner_numbers == NULL) {
        Py_CLEAR(self);
    }
    return (PyObject *)self;
}

static void
free_file(file_facts *file)
{
    for (size_t at = 0; at < file->first_used; at++) {
        line_set_free(&file->first[at].lines);
    }
    free(file->first);
    line_set_free(&file->known);
    line_set_free(&file->shared);
    line_set_free(&file->now);
    Py_XDECREF(file->path);
    Py_XDECREF(file->modules);
}

static void
dealloc(gathered_object *self)
{
    PyTypeObject *type = Py_TYPE(self);
    for (size_t at = 0; at < self->files_used; at++) {
        free_file(&self->files[at]);
    }
    free(self->files);
    for (uint32_t at = 0; at < self->keys.used; at++) {
        line_set_free(&self->facts[at].lines);
        arc_set_free(&self->facts[at].arcs);
    }
    free(self->facts);
    key_index_free(&self->keys);
    for (size_t at = 0; at < self->owners_used; at++) {
        Py_XDECREF(self->owners[at].image_id);
    }
    free(self->owners);
    Py_XDECREF(self->definitions);
    Py_XDECREF(self->paths);
    Py_XDECREF(self->labels);
    Py_XDECREF(self->label_list);
    Py_XDECREF(self->owner_numbers);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMethodDef methods[] = {
    {"add", (PyCFunction)add_image, METH_VARARGS, add_doc},
    {"result", (PyCFunction)result, METH_NOARGS, result_doc},
    {NULL, NULL, 0, NULL},
};

PyDoc_STRVAR(doc, "The union of what any number of images executed.");

static PyType_Slot slots[] = {
    {Py_tp_doc, (void *)doc},
    {Py_tp_new, new_gathered},
    {Py_tp_dealloc, dealloc},
    {Py_tp_methods, methods},
    {0, NULL},
};

PyType_Spec gathered_spec = {
    .name = "covsup.datafile._facts.Gathered",
    .basicsize = sizeof(gathered_object),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = slots,
};
