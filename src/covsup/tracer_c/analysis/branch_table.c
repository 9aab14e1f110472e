/* analysis/branch_table.c - what the events of one code object say about branches.
 *
 * Threads, Must never know: see analysis/branch_table.h. */
#include "analysis/branch_table.h"

#if COMPAT_MONITORING

#include <stdlib.h>

/* Shared by all code objects and interpreters; never written. */
static branch_table empty;

branch_table *
branch_table_empty(void)
{
    return &empty;
}

void
branch_table_free(branch_table *self)
{
    if (self != &empty) {
        free(self);
    }
}

/* The entry with the key `key` in an array of structures that begin with an int, in its order. */
static void *
find(void *array, int count, size_t size, int key)
{
    int low = 0, high = count;
    while (low < high) {
        int middle = (low + high) / 2;
        void *entry = (char *)array + (size_t)middle * size;
        int at = *(int *)entry;
        if (at == key) {
            return entry;
        }
        if (at < key) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return NULL;
}

const line_arc *
line_arc_of_line(const branch_table *self, int line)
{
    return find(self->unique_line_arcs, self->n_unique_line_arcs, sizeof(line_arc), line);
}

const line_arc *
line_arc_at(const branch_table *self, int offset)
{
    return find(self->line_arcs, self->n_line_arcs, sizeof(line_arc), offset);
}

branch_outcomes *
branch_outcomes_at(const branch_table *self, int offset)
{
    return find(self->branches, self->n_branches, sizeof(branch_outcomes), offset);
}

const instruction_arc *
return_arc_at(const branch_table *self, int offset)
{
    return find(self->return_arcs, self->n_return_arcs, sizeof(instruction_arc), offset);
}

const instruction_arc *
instruction_arc_at(const branch_table *self, int offset)
{
    return find(self->instruction_arcs, self->n_instruction_arcs, sizeof(instruction_arc), offset);
}

#endif
