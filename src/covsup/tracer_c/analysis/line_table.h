/* analysis/line_table.h - the lines of a code object, from its location table (co_linetable).
 *
 * CPython's Objects/locations.md describes the format (3.11 to 3.15); one entry covers some code
 * units. The reader is inline, because it reads every measured code object when that first runs.
 *
 * Threads: any; it only reads. Must never know: instructions. */
#ifndef COVSUP_ANALYSIS_LINE_TABLE_H
#define COVSUP_ANALYSIS_LINE_TABLE_H

#include "cpython/compat.h"

#include <stdint.h>

/* Lines from here on are in no source: tools that rewrite a program mark their own instructions
 * with such numbers (SlipCover does so for branches). They count as no line. */
enum { NO_SOURCE_LINE = 1 << 30 };

static inline unsigned
read_varint(const uint8_t **p, const uint8_t *end)
{
    unsigned value = 0;
    /* Six pieces make 32 bits. A table made by hand may have more; these are ignored. */
    for (int shift = 0; *p < end && shift <= 30; shift += 6) {
        unsigned byte = *(*p)++;
        value |= (byte & 63) << shift;
        if ((byte & 64) == 0) {
            break;
        }
    }
    return value;
}

/* The lines of a table made by hand may exceed an int. They wrap around, as in CPython. */
static inline int
add_lines(int line, unsigned delta)
{
    return (int)((unsigned)line + delta);
}

typedef struct {
    const uint8_t *p, *end;
    int line;     /* of the last entry that had one */
    int end_line; /* the last line of the expression or statement of the last entry */
} location_reader;

static inline location_reader
read_locations(PyCodeObject *code)
{
    const uint8_t *p = (const uint8_t *)PyBytes_AS_STRING(code->co_linetable);
    return (location_reader){p, p + PyBytes_GET_SIZE(code->co_linetable), code->co_firstlineno, 0};
}

/* The line of the last entry; 0: it has none that a source could have. */
static inline int
source_line(const location_reader *reader)
{
    return reader->line < NO_SOURCE_LINE ? reader->line : 0;
}

/* Read the next entry: its number of units and its line (0: none). Columns are skipped. False at
 * the end. */
static inline bool
next_location(location_reader *reader, int *units, int *line)
{
    const uint8_t *p = reader->p;
    if (p >= reader->end) {
        return false;
    }
    unsigned first = *p++, code = (first >> 3) & 15;
    *units = (int)(first & 7) + 1;
    if (code < 10) { /* on the same line, as most are; one more byte */
        *line = reader->end_line = source_line(reader);
        reader->p = p + (p < reader->end);
        return true;
    }
    if (code < 13) { /* two more bytes */
        reader->line = add_lines(reader->line, code - 10);
        *line = reader->end_line = source_line(reader);
        reader->p = reader->end - p < 2 ? reader->end : p + 2;
        return true;
    }
    *line = 0;
    if (code != 15) {
        unsigned delta = read_varint(&p, reader->end);
        reader->line = add_lines(reader->line, (delta & 1) ? 0u - (delta >> 1) : delta >> 1);
        *line = reader->end_line = source_line(reader);
    }
    if (code == 14) {
        reader->end_line = add_lines(reader->end_line, read_varint(&p, reader->end));
    }
    while (p < reader->end && (*p & 128) == 0) { /* only the first byte of an entry has the bit */
        p++;
    }
    reader->p = p;
    return true;
}

#endif
