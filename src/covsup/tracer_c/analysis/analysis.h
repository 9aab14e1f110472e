/* analysis/analysis.h - one code object while it is analysed: what analysis/branches.c,
 * analysis/branch_lines.c, analysis/control_flow.c and analysis/branch_table.c share. */
#ifndef COVSUP_FLOW_ANALYSIS_H
#define COVSUP_FLOW_ANALYSIS_H

#include "analysis/branches.h"
#include "analysis/bytecode.h"

#if COMPAT_MONITORING

typedef struct flow_dominators flow_dominators;

typedef struct {
    PyCodeObject *code;
    decoded_code decoded;
    instruction *list; /* the decoded ones */
    int count;
    int *entered_head; /* per instruction: first in `entered_next` of the jumps into it, or -1 */
    int *entered_next; /* per instruction: the next one that jumps to the same place */
    /* Bitmaps by flow_slot(): */
    uint8_t *lines;    /* the lines from which branches leave */
    uint8_t *starts;   /* the lines that start somewhere */
    uint8_t *restarts; /* those that start in two places or more */
    int first_line, last_line;
    int *lines_there; /* ascending; NULL: the slot of a line is its distance from first_line */
    int n_slots;
    int exit; /* the end of an arc that leaves the code; 0: it cannot be named */
    bool has_except_star;
    bool failed; /* out of memory */
    uint8_t *visited;
    int *stack;
    int *before;   /* per instruction: what flow_line_before() found, or NOT_ASKED */
    int *followed; /* per instruction: from which line flow_follow() came by; 0: none yet */
    int walks;     /* how often the whole code was walked */
    flow_dominators *dominators; /* NULL until there were too many walks */
    flow out;                    /* with arrays that are large enough for anything */
} flow_analysis;

static inline bool
flow_falls_through(const instruction *i)
{
    return i->kind != JUMPS && i->kind != RETURNS && i->kind != RAISES;
}

static inline void
flow_set_bit(uint8_t *map, int bit)
{
    map[bit / 8] |= (uint8_t)(1 << (bit % 8));
}

static inline bool
flow_has_bit(const uint8_t *map, int bit)
{
    return (map[bit / 8] >> (bit % 8)) & 1;
}

/* The slot of the first line of the code that is `line` or more. */
static inline int
flow_slot_from(const flow_analysis *a, int line)
{
    if (a->lines_there == NULL) {
        return line <= a->first_line ? 0 : line - a->first_line;
    }
    int low = 0, high = a->n_slots;
    while (low < high) {
        int middle = low + (high - low) / 2;
        if (a->lines_there[middle] < line) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* The place of `line` in what is kept by line, or -1 where the code has no such line. What is kept
 * so grows with the code, not with the numbers of its lines. */
static inline int
flow_slot(const flow_analysis *a, int line)
{
    if (line < a->first_line || line > a->last_line || line <= 0) {
        return -1;
    }
    int slot = flow_slot_from(a, line);
    return a->lines_there == NULL || a->lines_there[slot] == line ? slot : -1;
}

static inline bool
flow_is_marked(const flow_analysis *a, int line)
{
    int slot = flow_slot(a, line);
    return slot >= 0 && flow_has_bit(a->lines, slot);
}

/* analysis/branch_lines.c */

/* The code object that the MAKE_FUNCTION at `k` is about to wrap, or NULL. */
PyCodeObject *flow_function_made_at(const flow_analysis *a, int k);

/* Mark the lines that a report may give more than one exit, and give the instructions on those that
 * it makes one the first of them. False: out of memory. */
bool flow_mark_lines(flow_analysis *a);

/* analysis/control_flow.c */

enum { AMBIGUOUS = -1, UNREACHED = 0 }; /* instead of a line */
enum { NOT_ASKED = -2 };

/* Is the jump at `k` the one after the `except*` clauses of a try statement? */
bool flow_ends_except_star(const flow_analysis *a, int k);

/* The one line from which control enters instruction `k`, looking through instructions without a
 * line; AMBIGUOUS, or UNREACHED. */
int flow_line_before(flow_analysis *a, int k);

/* Does control reach instruction `k` for the first time in a frame always from `line`? Everything
 * that can run before it is walked, exception handlers included. */
bool flow_first_entered_from(flow_analysis *a, int k, int line);

/* Running instruction `k` for the first time tells the arc (line, to), unless other lines lead to
 * it, too. */
void flow_add_step(flow_analysis *a, int k, int line, int to);

/* The line that begins at instruction `k` tells that control came from line `from`. */
void flow_add_target(flow_analysis *a, int k, int from);

/* Where an exception goes that the handler at `k` gets: the line on which the handler begins, the
 * exit where nothing but clean-up handles it, or 0 where that is not certain. */
int flow_handler_line(const flow_analysis *a, int k);

/* Is the raise at `k` that of an assert statement, which is no branch for a report? */
bool flow_asserts(const flow_analysis *a, int k);

/* Where control goes on a new line after reaching instruction `k` from `line`: what facts_arc
 * wants, or 0 where no event is needed or nothing is certain. */
int flow_follow(flow_analysis *a, int k, int line);

/* analysis/dominators.c */

/* NULL: out of memory. */
flow_dominators *flow_dominators_new(const flow_analysis *a);

void flow_dominators_free(flow_dominators *self);

/* Is there a way from the start to instruction `p` that does not lead through `k`? */
bool flow_reached_without(const flow_dominators *self, int p, int k);

/* analysis/branch_table.c */

/* What was found, in one allocation of its size; NULL: out of memory. */
flow *flow_keep(flow_analysis *a);

/* Where there is nothing to tell. */
flow *flow_nothing(void);

#endif
#endif
