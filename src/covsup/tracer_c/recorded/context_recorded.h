/* recorded/context_recorded.h - the lines and arcs that this process has recorded in one context.
 *
 * Threads: context_recorded_add_line() and context_recorded_add_arc() may run on any thread;
 * context_recorded_free() needs the object to itself.
 * Fork: the child inherits it: what the parent recorded is not recorded again. Only the context's
 * definition is written again, to the child's own journal, before its first fact there.
 * Must never know: Python objects, which context is current, the layout of the journal. */
#ifndef COVSUP_RECORDED_CONTEXT_RECORDED_H
#define COVSUP_RECORDED_CONTEXT_RECORDED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "recorded/recorded.h"

typedef struct context_recorded context_recorded;

/* A new context, with a new id; `label` is UTF-8. NULL: out of memory. */
context_recorded *context_recorded_new(const char *label, size_t size);

void context_recorded_free(context_recorded *self);

/* Its id, never 0, which is that of the static context. */
uint32_t context_recorded_id(const context_recorded *self);

/* How many bytes it occupies. */
size_t context_recorded_size(const context_recorded *self);

/* As recorded_add_line() and recorded_add_arc(), in this context. */
bool context_recorded_add_line(context_recorded *self, source_file *file, int line);
bool context_recorded_add_arc(context_recorded *self, source_file *file, int from, int to);

#endif
