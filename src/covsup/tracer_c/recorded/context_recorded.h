/* recorded/context_recorded.h - what this process has told of one context: the facts that stand in
 * a journal under it.
 *
 * Threads: context_recorded_add_line() and context_recorded_add_arc() may run on any thread;
 * context_recorded_free() when nobody uses it. Fork: what the parent has told of a context need not
 * be told again; the context is only defined anew in the child's own journal, at its first fact
 * there. Must never know: Python objects, which context is current, the layout of the journal. */
#ifndef COVSUP_RECORDED_CONTEXT_RECORDED_H
#define COVSUP_RECORDED_CONTEXT_RECORDED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "recorded/recorded.h"

typedef struct context_recorded context_recorded;

/* A context with an id of its own; `label` is UTF-8. NULL: out of memory. */
context_recorded *context_recorded_new(const char *label, size_t size);

void context_recorded_free(context_recorded *self);

/* Its id; 0 is that of the static context. */
uint32_t context_recorded_id(const context_recorded *self);

/* The bytes that it occupies. */
size_t context_recorded_size(const context_recorded *self);

/* As recorded_add_line() and recorded_add_arc(), in this context. */
bool context_recorded_add_line(context_recorded *self, source_file *file, int line);
bool context_recorded_add_arc(context_recorded *self, source_file *file, int from, int to);

#endif
