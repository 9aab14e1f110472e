/* analysis/branch_table.c - what was found of one code object, as it is kept and looked up.
 *
 * Threads: what is kept is not written again, but where analysis/branches.h says so. Must never
 * know: events, files, the journal. */
#include "analysis/analysis.h"

#if COMPAT_MONITORING

#include <stdlib.h>
#include <string.h>

static int
ascending(const void *a, const void *b)
{
    int one = *(const int *)a, other = *(const int *)b; /* the first member of all of them */
    return (one > other) - (one < other);
}

/* They are found in order, but for what branches added. */
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

/* Nothing to tell: shared by all code objects of which that is true. */
static flow nothing;

flow *
branch_table_pack(code_analysis *a)
{
    flow *found = &a->out;
    if (found->n_line_arcs + found->n_branches + found->n_return_arcs + found->n_instruction_arcs ==
        0) {
        return &nothing;
    }
    size_t targets = (size_t)found->n_line_arcs, branches = (size_t)found->n_branches;
    size_t steps = (size_t)found->n_return_arcs + (size_t)found->n_instruction_arcs;
    flow *self = malloc(sizeof(*self) + targets * sizeof(line_arc) +
                        branches * sizeof(branch_outcomes) + steps * sizeof(instruction_arc));
    if (self == NULL) {
        return NULL;
    }
    *self = *found;
    /* Targets whose line starts nowhere else are found by their line, the others by offset. */
    self->targets = self->unique_line_arcs = (line_arc *)(self + 1);
    self->n_line_arcs = 0;
    sort(found->targets, found->n_line_arcs, sizeof(line_arc));
    for (int pass = 0; pass < 2; pass++) {
        for (int t = 0; t < found->n_line_arcs; t++) {
            const instruction *i = &a->list[found->targets[t].at];
            bool lone = !has_bit(a->restarts, line_slot(a, i->event_line));
            if (lone == (pass == 0)) {
                *(lone ? &self->unique_lines : &self->shared_lines) |= UINT64_C(1)
                                                                       << (i->event_line % 64);
                self->targets[self->n_line_arcs++] =
                    (line_arc){lone ? i->event_line : i->start * 2, found->targets[t].from,
                               found->targets[t].to};
            }
        }
        if (pass == 0) {
            self->targets += self->n_line_arcs;
            self->n_unique_line_arcs = self->n_line_arcs;
            self->n_line_arcs = 0;
        }
    }
    sort(self->unique_line_arcs, self->n_unique_line_arcs, sizeof(line_arc));
    self->branches = (branch_outcomes *)(self->targets + self->n_line_arcs);
    self->returns = (instruction_arc *)(self->branches + branches);
    self->steps = self->returns + self->n_return_arcs;
    memcpy(self->branches, found->branches, branches * sizeof(branch_outcomes));
    memcpy(self->returns, found->returns, (size_t)self->n_return_arcs * sizeof(instruction_arc));
    memcpy(self->steps, found->steps, (size_t)self->n_instruction_arcs * sizeof(instruction_arc));
    sort(self->branches, self->n_branches, sizeof(branch_outcomes));
    sort(self->returns, self->n_return_arcs, sizeof(instruction_arc));
    sort(self->steps, self->n_instruction_arcs, sizeof(instruction_arc));
    return self;
}

flow *
branch_table_empty(void)
{
    return &nothing;
}

void
branch_table_free(flow *self)
{
    if (self != &nothing) {
        free(self);
    }
}

/* The entry at `key` in an array of structures that begin with theirs, in ascending order. */
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
line_arc_of_line(const flow *self, int line)
{
    return find(self->unique_line_arcs, self->n_unique_line_arcs, sizeof(line_arc), line);
}

const line_arc *
line_arc_at(const flow *self, int offset)
{
    return find(self->targets, self->n_line_arcs, sizeof(line_arc), offset);
}

branch_outcomes *
branch_outcomes_at(const flow *self, int offset)
{
    return find(self->branches, self->n_branches, sizeof(branch_outcomes), offset);
}

const instruction_arc *
return_arc_at(const flow *self, int offset)
{
    return find(self->returns, self->n_return_arcs, sizeof(instruction_arc), offset);
}

const instruction_arc *
instruction_arc_at(const flow *self, int offset)
{
    return find(self->steps, self->n_instruction_arcs, sizeof(instruction_arc), offset);
}

#endif
