/* fold/union.h - what the files of the type `FactUnion` share: union.c, ids.c and first_seen.c.
 *
 * Threads: see fold/module.h. */
#ifndef COVSUP_FOLD_UNION_H
#define COVSUP_FOLD_UNION_H

#include "fold/module.h"

/* A process image. Of two that executed a line, the earlier one is its first. */
typedef struct {
    uint64_t started_ns;
    PyObject *image_id; /* str */
} image;

/* The lines of a file that an image was the first to execute. */
typedef struct {
    uint32_t image; /* its number */
    line_set lines;
} first_lines;

typedef struct {
    PyObject *path;     /* str */
    PyObject *modules;  /* set of str, or NULL */
    first_lines *first; /* no line is in two of them */
    size_t first_used, first_room;
    uint32_t youngest; /* the number of the youngest image in `first` */
    line_set known;    /* the union of `first` */
    line_set shared;   /* executed by more than one image */
    /* Of the image that is being added. */
    line_set now; /* its lines, with the lines of its arcs */
    bool has_facts;
} file_union;

/* The facts of one file in one context. */
typedef struct {
    bool has_lines, has_arcs;
    line_set lines;
    arc_set arcs;
} union_entry;

/* A file or a context of the image that is being added: its id in the journal, the order in which
 * it was defined, and its number in the union. */
typedef struct {
    uint32_t id, order, number;
} local_id;

typedef struct {
    local_id *items;
    size_t used, room;
} local_ids;

typedef struct {
    PyObject_HEAD PyObject *definitions; /* path NUL module (bytes) -> number of a file, or its path
                                            as str if the data file cannot hold it */
    PyObject *paths;                     /* str -> number of a file */
    PyObject *labels;                    /* str -> number of a context */
    PyObject *label_list;                /* list of str */
    PyObject *image_numbers;             /* (started_ns, image id) -> number of an image */
    file_union *files;
    size_t files_used, files_room;
    image *images;
    size_t images_used, images_room;
    key_index keys; /* file number << 32 | context number */
    union_entry *entries;
    size_t entries_room;
} union_object;

/* Instead of a number. */
#define UNKNOWN UINT32_MAX
#define UNSTORABLE (UINT32_MAX - 1) /* a file whose path the data file cannot hold */

/* An image that is being added, and what of it cannot be used. */
typedef struct {
    union_object *self;
    local_ids files, contexts;
    uint32_t image;
    bool image_is_new, branch;
    uint64_t lines;        /* how many it executed */
    uint64_t undefined;    /* facts of files that it does not define */
    uint64_t out_of_range; /* facts with lines above the largest */
    PyObject *unusable;    /* list of paths that are not UTF-8 */
    PyObject *unnamed;     /* set of ids of contexts that it does not define */
} addition;

/* fold/ids.c. Every function but the first gives -1 with an exception set. */

/* The number in the union of the file or context that the image calls `id`, or UNKNOWN. Only after
 * ids_add_definitions(). */
uint32_t ids_find(const local_ids *ids, uint32_t id);
/* Adds the files and contexts that the image defines. `label` is the label of context 0. */
int ids_add_definitions(addition *add, PyObject *segments, PyObject *label);
/* Gives the image its number. */
int ids_add_image(addition *add, unsigned long long started_ns, PyObject *image_id);

/* fold/first_seen.c: adds the lines of the image that is being added to those of a file. -1: no
 * memory. */
int assign_first_seen(const addition *add, file_union *file);

#endif
