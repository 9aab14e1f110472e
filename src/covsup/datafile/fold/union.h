/* fold/union.h - what the files of the type `FactUnion` have in common. */
#ifndef COVSUP_FOLD_UNION_H
#define COVSUP_FOLD_UNION_H

#include "fold/module.h"

/* An image as the owner of lines. Earlier ones win. */
typedef struct {
    uint64_t started_ns;
    PyObject *image_id; /* str */
} owner;

typedef struct {
    uint32_t owner;
    line_set lines;
} first_lines;

typedef struct {
    PyObject *path;     /* str */
    PyObject *modules;  /* set of str, or NULL */
    first_lines *first; /* no line is in two of them */
    size_t first_used, first_room;
    uint32_t youngest; /* no owner in `first` is younger */
    line_set known;    /* the union of `first` */
    line_set shared;   /* executed by more than one image */
    /* Of the image that is being added. */
    line_set now;
    bool has_facts;
} file_union;

/* A file in a context. */
typedef struct {
    bool has_lines, has_arcs;
    line_set lines;
    arc_set arcs;
} union_entry;

/* A file or a context of the image that is being added: its id there, and its number here. */
typedef struct {
    uint32_t id, order, number;
} local_id;

typedef struct {
    local_id *items;
    size_t used, room;
} local_ids;

typedef struct {
    PyObject_HEAD PyObject
        *definitions;     /* bytes, path NUL module -> number of a file, or the path if unusable */
    PyObject *paths;      /* str -> number of a file */
    PyObject *labels;     /* str -> number of a context */
    PyObject *label_list; /* list of str */
    PyObject *image_numbers; /* (started_ns, image id) -> number of an owner */
    file_union *files;
    size_t files_used, files_room;
    owner *owners;
    size_t images_used, images_room;
    key_index keys; /* file number << 32 | context number */
    union_entry *facts;
    size_t facts_room;
} union_object;

#define UNKNOWN UINT32_MAX
#define UNSTORABLE (UINT32_MAX - 1) /* of a file whose path the data file cannot hold */

/* What one image adds, and what could not be used of it. */
typedef struct {
    union_object *self;
    local_ids files, contexts;
    uint32_t owner;
    bool image_is_new, branch;
    uint64_t lines, undefined, far;
    PyObject *unusable; /* list of paths that are no UTF-8 */
    PyObject *unnamed;  /* set of context ids */
} addition;

/* fold/ids.c: every function but the first gives -1 with an exception set. */

/* The number here of what the image knows as `id`, or UNKNOWN; once they are settled. */
uint32_t ids_find(const local_ids *names, uint32_t id);
/* Takes in the files and contexts that the image defines; `label` is that of context 0. */
int ids_add_definitions(addition *add, PyObject *segments, PyObject *label);
int ids_add_image(addition *add, unsigned long long started_ns, PyObject *image_id);

/* fold/first_seen.c: brings the lines of the image that is added into those of a file. -1: no
 * memory. */
int assign_first_seen(const addition *add, file_union *file);

#endif
