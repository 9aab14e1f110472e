/* journal/words.h - sort the words of a journal: whose facts they are, and which texts there are.
 *
 * docs/journal-format.md says what the words are. Any words give something; what makes no sense is
 * counted. Threads: no state. Must never know: Python, files, what an id stands for. */
#ifndef COVSUP_JOURNAL_WORDS_H
#define COVSUP_JOURNAL_WORDS_H

#include "fold/sets.h"

enum text_type { TEXT_FILE = 1, TEXT_CONTEXT = 2, TEXT_PROPERTY = 4 };

/* What one file has in one context. */
typedef struct {
    line_set lines;
    arc_set arcs; /* settled */
} facts_entry;

/* The definition of a file or a context: its texts are in `journal_facts.texts`. */
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
} other_blob;

/* A fact with a number that no file has a line of. */
typedef struct {
    uint64_t key;
    bool is_arc;
    int64_t from, to; /* of a line: to */
} out_of_range_fact;

typedef struct {
    key_index keys; /* file id << 32 | context id */
    facts_entry *entries;
    size_t entries_room;
    definitions files, contexts;
    other_blob *others; /* events, properties, and what is unknown here */
    size_t others_used, others_room;
    out_of_range_fact *far;
    size_t far_used, far_room;
    uint8_t *texts;
    size_t texts_used, texts_room;
    uint64_t torn;        /* records that were begun and not ended */
    uint64_t stray_words; /* words that belong to no record */
    uint64_t damaged_blobs;
    uint64_t left_out; /* facts for which there was no room within the limit */
    size_t taken;      /* of the limit */
} journal_facts;

typedef struct {
    uint32_t largest_line;
    size_t memory; /* what the facts may cost, in bytes, about */
} fact_limits;

/* How words are to be read. */
typedef struct {
    uint32_t version; /* of the format: the first has no arcs of one word */
    bool swapped;     /* of the other byte order */
} words_format;

/* Sorts `count` words of 8 bytes each. -1: no memory; whatever is in `sorted`, free it. */
int words_decode(journal_facts *sorted, const uint8_t *words, size_t count, words_format format,
                 const fact_limits *limits);
void journal_facts_free(journal_facts *sorted);

/* journal/blobs.c: CRC-32 as zlib's. */
uint32_t blobs_crc32(const uint8_t *bytes, size_t size);

/* Takes in the text of `size` bytes at the end of `texts`, for which there is room; one that is not
 * what its type promises is counted, and goes. -1: no memory. */
int blobs_add(journal_facts *sorted, unsigned type, uint32_t size, bool swapped);

#endif
