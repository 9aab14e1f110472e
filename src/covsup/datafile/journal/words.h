/* journal/words.h - sort the words of a journal: whose facts they are, and which texts there are.
 *
 * docs/journal-format.md says what the words are. Any words give something; what makes no sense is
 * counted. Threads: no state. Must never know: Python, files, what an id stands for. */
#ifndef COVSUP_DATAFILE_WORDS_H
#define COVSUP_DATAFILE_WORDS_H

#include "fold/sets.h"

enum text_type { TEXT_FILE = 1, TEXT_CONTEXT = 2, TEXT_PROPERTY = 4 };

/* What one file has in one context. */
typedef struct {
    line_set lines;
    arc_set arcs; /* settled */
} owned_facts;

/* The definition of a file or a context: its texts are in `sorted_words.texts`. */
typedef struct {
    uint32_t id;
    size_t at;
    uint32_t size;   /* of a file's path, of a context's label */
    uint32_t module; /* the length of the module's name, which follows path and NUL */
} definition;

typedef struct {
    definition *items;
    size_t used, room;
} definitions;

typedef struct {
    uint8_t type;
    size_t at;
    uint32_t size;
} plain_text;

/* A fact with a number that no file has a line of. */
typedef struct {
    uint64_t key;
    bool is_arc;
    int64_t from, to; /* of a line: to */
} far_fact;

typedef struct {
    key_index keys; /* file id << 32 | context id */
    owned_facts *owned;
    size_t owned_room;
    definitions files, contexts;
    plain_text *plain; /* events, properties, and what is unknown here */
    size_t plain_used, plain_room;
    far_fact *far;
    size_t far_used, far_room;
    uint8_t *texts;
    size_t texts_used, texts_room;
    uint64_t torn;      /* records that were begun and not ended */
    uint64_t senseless; /* words that belong to no record */
    uint64_t damaged_texts;
    uint64_t left_out; /* facts for which there was no room within the limit */
    size_t taken;      /* of the limit */
} sorted_words;

typedef struct {
    uint32_t largest_line;
    size_t memory; /* what the facts may cost, in bytes, about */
} sort_limits;

/* How words are to be read. */
typedef struct {
    uint32_t version; /* of the format: the first has no arcs of one word */
    bool swapped;     /* of the other byte order */
} words_format;

/* Sorts `count` words of 8 bytes each. -1: no memory; whatever is in `sorted`, free it. */
int words_sort(sorted_words *sorted, const uint8_t *words, size_t count, words_format format,
               const sort_limits *limits);
void sorted_words_free(sorted_words *sorted);

/* journal/blobs.c: CRC-32 as zlib's. */
uint32_t words_crc32(const uint8_t *bytes, size_t size);

/* Takes in the text of `size` bytes at the end of `texts`, for which there is room; one that is not
 * what its type promises is counted, and goes. -1: no memory. */
int texts_add(sorted_words *sorted, unsigned type, uint32_t size, bool swapped);

#endif
