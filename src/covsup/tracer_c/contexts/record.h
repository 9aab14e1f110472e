/* contexts/record.h - record a line or an arc in the current context. The cores call this.
 *
 * Threads: with an attached thread state.
 * Must never know: where events come from, how a context is found. */
#ifndef COVSUP_CONTEXTS_RECORD_H
#define COVSUP_CONTEXTS_RECORD_H

#include "contexts/contexts.h"

/* contexts_current(), or NULL at once where no contexts are recorded. */
static inline context_recorded *
current_context(core *self)
{
    return self->records_contexts ? contexts_current(self) : NULL;
}

/* Record a line or an arc in a context (NULL: none). */
static inline bool
record_line_in(context_recorded *context, source_file *file, int line)
{
    return context != NULL ? context_recorded_add_line(context, file, line)
                           : recorded_add_line(file, line);
}

static inline bool
record_arc_in(context_recorded *context, source_file *file, int from, int to)
{
    return context != NULL ? context_recorded_add_arc(context, file, from, to)
                           : recorded_add_arc(file, from, to);
}

/* Record a line or an arc in the current context. */
static inline bool
core_record_line(core *self, source_file *file, int line)
{
    return record_line_in(current_context(self), file, line);
}

static inline bool
core_record_arc(core *self, source_file *file, int from, int to)
{
    return record_arc_in(current_context(self), file, from, to);
}

#endif
