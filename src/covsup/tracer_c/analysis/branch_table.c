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
flow_keep(flow_analysis *a)
{
    flow *found = &a->out;
    if (found->n_targets + found->n_branches + found->n_returns + found->n_steps == 0) {
        return &nothing;
    }
    size_t targets = (size_t)found->n_targets, branches = (size_t)found->n_branches;
    size_t steps = (size_t)found->n_returns + (size_t)found->n_steps;
    flow *self = malloc(sizeof(*self) + targets * sizeof(flow_target) +
                        branches * sizeof(flow_branch) + steps * sizeof(flow_step));
    if (self == NULL) {
        return NULL;
    }
    *self = *found;
    /* Targets whose line starts nowhere else are found by their line, the others by offset. */
    self->targets = self->lone_targets = (flow_target *)(self + 1);
    self->n_targets = 0;
    sort(found->targets, found->n_targets, sizeof(flow_target));
    for (int pass = 0; pass < 2; pass++) {
        for (int t = 0; t < found->n_targets; t++) {
            const instruction *i = &a->list[found->targets[t].at];
            bool lone = !flow_has_bit(a->restarts, flow_slot(a, i->event_line));
            if (lone == (pass == 0)) {
                *(lone ? &self->lone_lines : &self->shared_lines) |= UINT64_C(1)
                                                                     << (i->event_line % 64);
                self->targets[self->n_targets++] =
                    (flow_target){lone ? i->event_line : i->start * 2, found->targets[t].from,
                                  found->targets[t].to};
            }
        }
        if (pass == 0) {
            self->targets += self->n_targets;
            self->n_lone_targets = self->n_targets;
            self->n_targets = 0;
        }
    }
    sort(self->lone_targets, self->n_lone_targets, sizeof(flow_target));
    self->branches = (flow_branch *)(self->targets + self->n_targets);
    self->returns = (flow_step *)(self->branches + branches);
    self->steps = self->returns + self->n_returns;
    memcpy(self->branches, found->branches, branches * sizeof(flow_branch));
    memcpy(self->returns, found->returns, (size_t)self->n_returns * sizeof(flow_step));
    memcpy(self->steps, found->steps, (size_t)self->n_steps * sizeof(flow_step));
    sort(self->branches, self->n_branches, sizeof(flow_branch));
    sort(self->returns, self->n_returns, sizeof(flow_step));
    sort(self->steps, self->n_steps, sizeof(flow_step));
    return self;
}

flow *
flow_nothing(void)
{
    return &nothing;
}

void
flow_free(flow *self)
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

const flow_target *
flow_target_of_line(const flow *self, int line)
{
    return find(self->lone_targets, self->n_lone_targets, sizeof(flow_target), line);
}

const flow_target *
flow_target_at(const flow *self, int offset)
{
    return find(self->targets, self->n_targets, sizeof(flow_target), offset);
}

flow_branch *
flow_branch_at(const flow *self, int offset)
{
    return find(self->branches, self->n_branches, sizeof(flow_branch), offset);
}

const flow_step *
flow_return_at(const flow *self, int offset)
{
    return find(self->returns, self->n_returns, sizeof(flow_step), offset);
}

const flow_step *
flow_step_at(const flow *self, int offset)
{
    return find(self->steps, self->n_steps, sizeof(flow_step), offset);
}

#endif
