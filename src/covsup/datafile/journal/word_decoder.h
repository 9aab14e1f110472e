/* journal/word_decoder.h - decode the words of a journal: its facts, by file and context, and its
 * blobs.
 *
 * docs/journal-format.md explains the words. Any input gives a result: what makes no sense is
 * counted. Threads: no state. Must never know: Python, files, what an id stands for. */
#ifndef COVSUP_JOURNAL_WORD_DECODER_H
#define COVSUP_JOURNAL_WORD_DECODER_H

#include "fold/sets.h"

/* The facts of one file in one context. */
typedef struct {
    line_set lines;
    arc_set arcs; /* normalized */
} facts_entry;

/* The definition of a file or a context. Its text is at `at` in `journal_facts.texts`. */
typedef struct {
    uint32_t id;
    size_t at;
    uint32_t size;   /* length of a file's path, or of a context's label */
    uint32_t module; /* length of the module's name, which follows the path and a NUL */
} definition;

typedef struct {
    definition *items;
    size_t used, room;
} definitions;

/* A blob that defines no file and no context. */
typedef struct {
    uint8_t type;
    size_t at;
    uint32_t size;
} other_blob;

/* A fact whose line number is larger than `fact_limits.largest_line`. */
typedef struct {
    uint64_t key;
    bool is_arc;
    int64_t from, to; /* a line has only `to` */
} out_of_range_fact;

typedef struct {
    key_index keys; /* file id << 32 | context id */
    facts_entry *entries;
    size_t entries_room;
    definitions files, contexts;
    other_blob *others; /* events, properties, claims, and types that are unknown here */
    size_t others_used, others_room;
    out_of_range_fact *out_of_range;
    size_t out_of_range_used, out_of_range_room;
    uint8_t *texts;
    size_t texts_used, texts_room;
    uint64_t torn;        /* records that were begun and not finished */
    uint64_t stray_words; /* words that belong to no record */
    uint64_t damaged_blobs;
    uint64_t left_out; /* facts that would have needed more memory than the limit */
    size_t taken;      /* bytes of the limit that are used */
} journal_facts;

typedef struct {
    uint32_t largest_line;
    size_t memory; /* what the facts may cost, in bytes, approximately */
} fact_limits;

/* How words are to be read. */
typedef struct {
    uint32_t version; /* of the format: version 1 has no arcs of one word */
    bool swapped;     /* written in the other byte order */
} words_format;

/* Decodes `count` words of 8 bytes each. -1: no memory. `facts` is to be freed in either case. */
int words_decode(journal_facts *facts, const uint8_t *words, size_t count, words_format format,
                 const fact_limits *limits);
void journal_facts_free(journal_facts *facts);

/* blobs.c: CRC-32 as zlib's. The writer's (format.h) has a table of 64 bytes and is slower: it runs
 * in the target's memory and on short texts. */
uint32_t blobs_crc32(const uint8_t *bytes, size_t size);

/* Takes in the blob whose `size` bytes are at the end of `texts`. One that does not have the form
 * of its type is counted and dropped. -1: no memory. */
int blobs_add(journal_facts *facts, unsigned type, uint32_t size, bool swapped);

#endif
