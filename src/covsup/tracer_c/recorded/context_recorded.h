/* recorded/context_recorded.h - what this process has told of one context: the facts that stand in
 * a journal under it.
 *
 * Threads: told_line() and told_arc() may run on any thread; told_free() when nobody uses it.
 * Fork: what the parent has told of a context need not be told again; the context is only defined
 * anew in the child's own journal, at its first fact there.
 * Must never know: Python objects, which context is current, the layout of the journal. */
#ifndef COVSUP_TOLD_H
#define COVSUP_TOLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "recorded/recorded.h"

typedef struct told_context told_context;

/* A context with an id of its own; `label` is UTF-8. NULL: out of memory. */
told_context *told_new(const char *label, size_t size);

void told_free(told_context *self);

/* Its id; 0 is that of the static context. */
uint32_t told_id(const told_context *self);

/* The bytes that it occupies. */
size_t told_size(const told_context *self);

/* As facts_line() and facts_arc(), in this context. */
bool told_line(told_context *self, source_file *file, int line);
bool told_arc(told_context *self, source_file *file, int from, int to);

#endif
