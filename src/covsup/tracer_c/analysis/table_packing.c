/* analysis/table_packing.c - a finished analysis as a branch table.
 *
 * Threads, Must never know: see analysis/branches.h. */
#include "analysis/table_packing.h"

#if COMPAT_MONITORING

#include <stdlib.h>
#include <string.h>

static int
ascending(const void *a, const void *b)
{
    int one = *(const int *)a, other = *(const int *)b; /* the first field of each kind */
    return (one > other) - (one < other);
}

/* The analysis finds most entries in order; branches add some out of order. */
static void
sort(void *array, int count, size_t size)
{
    for (int i = 1; i < count; i++) {
        char *at = (char *)array + (size_t)i * size;
        if (ascending(at - size, at) > 0) {
            qsort(array, (size_t)count, size, ascending);
            return;
        }
    }
}

branch_table *
table_pack(const code_analysis *a)
{
    const branch_table *found = &a->out;
    if (found->n_line_arcs + found->n_branches + found->n_return_arcs + found->n_instruction_arcs ==
        0) {
        return branch_table_empty();
    }
    size_t line_arcs = (size_t)found->n_line_arcs, branches = (size_t)found->n_branches;
    size_t arcs = (size_t)found->n_return_arcs + (size_t)found->n_instruction_arcs;
    branch_table *self =
        malloc(sizeof(*self) + line_arcs * sizeof(line_arc) + branches * sizeof(branch_outcomes) +
               arcs * sizeof(instruction_arc));
    if (self == NULL) {
        return NULL;
    }
    *self = *found;
    /* First the lines that start in one place, then the others. */
    self->line_arcs = self->unique_line_arcs = (line_arc *)(self + 1);
    self->n_line_arcs = 0;
    sort(found->line_arcs, found->n_line_arcs, sizeof(line_arc));
    for (int pass = 0; pass < 2; pass++) {
        for (int t = 0; t < found->n_line_arcs; t++) {
            const instruction *i = &a->list[found->line_arcs[t].at];
            bool unique = !has_bit(a->restarts, line_slot(a, i->event_line));
            if (unique == (pass == 0)) {
                *(unique ? &self->unique_lines : &self->shared_lines) |= UINT64_C(1)
                                                                         << (i->event_line % 64);
                self->line_arcs[self->n_line_arcs++] =
                    (line_arc){unique ? i->event_line : i->start * 2, found->line_arcs[t].from,
                               found->line_arcs[t].to};
            }
        }
        if (pass == 0) {
            self->line_arcs += self->n_line_arcs;
            self->n_unique_line_arcs = self->n_line_arcs;
            self->n_line_arcs = 0;
        }
    }
    sort(self->unique_line_arcs, self->n_unique_line_arcs, sizeof(line_arc));
    self->branches = (branch_outcomes *)(self->line_arcs + self->n_line_arcs);
    self->return_arcs = (instruction_arc *)(self->branches + branches);
    self->instruction_arcs = self->return_arcs + self->n_return_arcs;
    memcpy(self->branches, found->branches, branches * sizeof(branch_outcomes));
    memcpy(self->return_arcs, found->return_arcs,
           (size_t)self->n_return_arcs * sizeof(instruction_arc));
    memcpy(self->instruction_arcs, found->instruction_arcs,
           (size_t)self->n_instruction_arcs * sizeof(instruction_arc));
    sort(self->branches, self->n_branches, sizeof(branch_outcomes));
    sort(self->return_arcs, self->n_return_arcs, sizeof(instruction_arc));
    sort(self->instruction_arcs, self->n_instruction_arcs, sizeof(instruction_arc));
    return self;
}

#endif
