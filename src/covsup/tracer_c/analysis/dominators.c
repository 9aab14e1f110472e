/* analysis/dominators.c - which instructions every way from the start leads through.
 *
 * Instruction k dominates p if every way from the start to p leads through k. One tree answers all
 * such questions about a code object: Lengauer and Tarjan, "A fast algorithm for finding dominators
 * in a flowgraph" (1979), with path compression. Nothing here recurses, because a code object may
 * have millions of instructions.
 *
 * Threads, Must never know: see analysis/branches.h. */
#include "analysis/dominators.h"

#if COMPAT_MONITORING

#include <stdlib.h>
#include <string.h>

/* A number is an instruction's place in a depth-first walk, from 1 on; 0 is none. */
struct dominator_tree {
    int *order;   /* by instruction: its number; 0: it is not reached */
    int *first;   /* by number: where its subtree begins in a walk of the tree */
    int *size;    /* by number: how many nodes its subtree has */
    int memory[]; /* of the arrays above */
};

typedef struct {
    int *vertex; /* by number: the instruction */
    int *parent, *semi, *idom, *ancestor, *label, *bucket, *next_in_bucket;
    int *handled, *next_handled; /* by instruction: a list of those whose exceptions it handles */
    int *stack;
    int reached;
    int memory[];
} search;

enum { ARRAYS_OF_RESULT = 3, ARRAYS_OF_SEARCH = 11 };

static int
successor(const code_analysis *a, int k, int which)
{
    const instruction *i = &a->list[k];
    switch (which) {
    case 0:
        return falls_through(i) && k + 1 < a->count ? k + 1 : -1;
    case 1:
        return i->target;
    default:
        return i->handler;
    }
}

/* Number the instructions that are reached from the start. */
static void
walk(const code_analysis *a, search *s, int *order)
{
    int depth = 0;
    int *at = s->label; /* by number: which successor is next; the labels come later */
    order[0] = ++s->reached;
    s->vertex[1] = 0;
    s->parent[1] = 0;
    at[1] = 0;
    s->stack[depth++] = 1;
    while (depth > 0) {
        int number = s->stack[depth - 1];
        if (at[number] == 3) {
            depth--;
            continue;
        }
        int next = successor(a, s->vertex[number], at[number]++);
        if (next >= 0 && order[next] == 0) {
            int child = ++s->reached;
            order[next] = child;
            s->vertex[child] = next;
            s->parent[child] = number;
            at[child] = 0;
            s->stack[depth++] = child;
        }
    }
}

/* The number with the smallest semidominator on the way from `number` to the root of its tree. */
static int
evaluate(search *s, int number)
{
    if (s->ancestor[number] == 0) {
        return number;
    }
    int depth = 0, v = number;
    while (s->ancestor[s->ancestor[v]] != 0) {
        s->stack[depth++] = v;
        v = s->ancestor[v];
    }
    while (depth > 0) {
        v = s->stack[--depth];
        int up = s->ancestor[v];
        if (s->semi[s->label[up]] < s->semi[s->label[v]]) {
            s->label[v] = s->label[up];
        }
        s->ancestor[v] = s->ancestor[up];
    }
    return s->label[number];
}

static void
consider(search *s, const int *order, int number, int from)
{
    if (order[from] != 0) {
        int best = s->semi[evaluate(s, order[from])];
        if (best < s->semi[number]) {
            s->semi[number] = best;
        }
    }
}

static void
find_dominators(const code_analysis *a, search *s, const int *order)
{
    for (int i = 1; i <= s->reached; i++) {
        s->semi[i] = s->label[i] = i;
        s->ancestor[i] = s->bucket[i] = 0;
    }
    for (int w = s->reached; w >= 2; w--) {
        const int k = s->vertex[w];
        if (k > 0 && falls_through(&a->list[k - 1])) {
            consider(s, order, w, k - 1);
        }
        for (int p = a->first_jump_to[k]; p >= 0; p = a->next_jump_to[p]) {
            consider(s, order, w, p);
        }
        for (int p = s->handled[k]; p >= 0; p = s->next_handled[p]) {
            consider(s, order, w, p);
        }
        s->next_in_bucket[w] = s->bucket[s->semi[w]];
        s->bucket[s->semi[w]] = w;
        const int parent = s->parent[w];
        s->ancestor[w] = parent;
        for (int v = s->bucket[parent]; v != 0; v = s->next_in_bucket[v]) {
            int u = evaluate(s, v);
            s->idom[v] = s->semi[u] < s->semi[v] ? u : parent;
        }
        s->bucket[parent] = 0;
    }
    s->idom[1] = 0;
    for (int w = 2; w <= s->reached; w++) {
        if (s->idom[w] != s->semi[w]) {
            s->idom[w] = s->idom[s->idom[w]];
        }
    }
}

/* Number the tree of dominators in preorder: the nodes of a subtree follow its root. This goes up
 * by number because a dominator has a smaller number than what it dominates. */
static void
number_tree(dominator_tree *self, const search *s)
{
    int *next = s->label;
    for (int w = 1; w <= s->reached; w++) {
        self->size[w] = 1;
    }
    for (int w = s->reached; w >= 2; w--) {
        self->size[s->idom[w]] += self->size[w];
    }
    self->first[1] = 1;
    next[1] = 2;
    for (int w = 2; w <= s->reached; w++) {
        self->first[w] = next[s->idom[w]];
        next[s->idom[w]] += self->size[w];
        next[w] = self->first[w] + 1;
    }
}

dominator_tree *
dominator_tree_new(const code_analysis *a)
{
    const size_t count = (size_t)a->count + 1;
    dominator_tree *self = malloc(sizeof(*self) + ARRAYS_OF_RESULT * count * sizeof(int));
    search *s = malloc(sizeof(*s) + ARRAYS_OF_SEARCH * count * sizeof(int));
    if (self == NULL || s == NULL) {
        free(self);
        free(s);
        return NULL;
    }
    int **results[ARRAYS_OF_RESULT] = {&self->order, &self->first, &self->size};
    for (size_t i = 0; i < ARRAYS_OF_RESULT; i++) {
        *results[i] = self->memory + i * count;
    }
    int **arrays[ARRAYS_OF_SEARCH] = {
        &s->vertex, &s->parent,         &s->semi,    &s->idom,         &s->ancestor, &s->label,
        &s->bucket, &s->next_in_bucket, &s->handled, &s->next_handled, &s->stack};
    for (size_t i = 0; i < ARRAYS_OF_SEARCH; i++) {
        *arrays[i] = s->memory + i * count;
    }
    s->reached = 0;
    memset(self->order, 0, count * sizeof(int));
    memset(s->handled, 0xFF, count * sizeof(int)); /* -1 */
    for (int k = 0; k < a->count; k++) {
        int handler = a->list[k].handler;
        if (handler >= 0) {
            s->next_handled[k] = s->handled[handler];
            s->handled[handler] = k;
        }
    }
    walk(a, s, self->order);
    find_dominators(a, s, self->order);
    number_tree(self, s);
    free(s);
    return self;
}

void
dominator_tree_free(dominator_tree *self)
{
    free(self);
}

bool
dominator_tree_reached_without(const dominator_tree *self, int p, int k)
{
    int number = self->order[p], above = self->order[k];
    return number != 0 && (above == 0 || self->first[number] < self->first[above] ||
                           self->first[number] >= self->first[above] + self->size[above]);
}

#endif
