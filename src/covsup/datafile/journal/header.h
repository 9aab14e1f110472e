/* journal/header.h - the fields of a journal's header, by name, offset and size.
 *
 * A table made from the struct in tracer_c/journal/format.h.
 * Must never know: files, which values are right. */
#ifndef COVSUP_DATAFILE_JOURNAL_HEADER_H
#define COVSUP_DATAFILE_JOURNAL_HEADER_H

#include "tracer_c/journal/format.h"

typedef struct {
    const char *name;
    uint16_t offset, size; /* bytes */
} header_field;

#define HEADER_FIELD(name)                                                                         \
    {#name, offsetof(journal_header, name), sizeof(((journal_header *)NULL)->name)}

/* Every field but the reserved ones, in the order of the header. */
static const header_field header_fields[] = {
    HEADER_FIELD(magic),
    HEADER_FIELD(version),
    HEADER_FIELD(header_size),
    HEADER_FIELD(byte_order),
    HEADER_FIELD(image_id),
    HEADER_FIELD(parent_image_id),
    HEADER_FIELD(pid),
    HEADER_FIELD(ppid),
    HEADER_FIELD(start_realtime_ns),
    HEADER_FIELD(start_boottime_ns),
    HEADER_FIELD(generation),
    HEADER_FIELD(start_kind),
    HEADER_FIELD(python_hexversion),
    HEADER_FIELD(core),
    HEADER_FIELD(flags),
    HEADER_FIELD(segment),
    HEADER_FIELD(capacity),
    HEADER_FIELD(uid),
    HEADER_FIELD(offset),
    HEADER_FIELD(slots_at),
    HEADER_FIELD(slot_size),
    HEADER_FIELD(slot_count),
    HEADER_FIELD(identity_check),
    HEADER_FIELD(tail),
    HEADER_FIELD(allocated),
    HEADER_FIELD(lost_facts),
    HEADER_FIELD(lost_events),
    HEADER_FIELD(lost_errno),
    HEADER_FIELD(lost_stage),
    HEADER_FIELD(threads_started),
    HEADER_FIELD(slots_used),
    HEADER_FIELD(forks_lost_facts),
    HEADER_FIELD(forks_lost_events),
    HEADER_FIELD(forks_lost_errno),
    HEADER_FIELD(forks_lost_stage),
};

enum { HEADER_FIELDS = sizeof(header_fields) / sizeof(*header_fields) };

#endif
