/* analysis/analysis.h - one code object while it is analysed: what analysis/branches.c,
 * analysis/branch_lines.c, analysis/control_flow.c and analysis/branch_table.c share. */
#ifndef COVSUP_ANALYSIS_ANALYSIS_H
#define COVSUP_ANALYSIS_ANALYSIS_H

#include "analysis/branches.h"
#include "analysis/bytecode.h"

#if COMPAT_MONITORING

typedef struct dominator_tree dominator_tree;

typedef struct {
    PyCodeObject *code;
    decoded_code decoded;
    instruction *list; /* the decoded ones */
    int count;
    int *first_jump_to; /* per instruction: first in `next_jump_to` of the jumps into it, or -1 */
    int *next_jump_to;  /* per instruction: the next one that jumps to the same place */
    /* Bitmaps by line_slot(): */
    uint8_t *lines;    /* the lines from which branches leave */
    uint8_t *starts;   /* the lines that start somewhere */
    uint8_t *restarts; /* those that start in two places or more */
    int first_line, last_line;
    int *distinct_lines; /* ascending; NULL: the slot of a line is its distance from first_line */
    int n_slots;
    int exit; /* the end of an arc that leaves the code; 0: it cannot be named */
    bool has_except_star;
    bool failed; /* out of memory */
    uint8_t *visited;
    int *stack;
    int *before;   /* per instruction: what control_flow_line_before() found, or NOT_COMPUTED */
    int *followed; /* per instruction: from which line control_flow_follow() came by; 0: none yet */
    int walks;     /* how often the whole code was walked */
    dominator_tree *dominators; /* NULL until there were too many walks */
    flow out;                   /* with arrays that are large enough for anything */
} code_analysis;

static inline bool
falls_through(const instruction *i)
{
    return i->kind != JUMPS && i->kind != RETURNS && i->kind != RAISES;
}

static inline void
set_bit(uint8_t *map, int bit)
{
    map[bit / 8] |= (uint8_t)(1 << (bit % 8));
}

static inline bool
has_bit(const uint8_t *map, int bit)
{
    return (map[bit / 8] >> (bit % 8)) & 1;
}

/* The slot of the first line of the code that is `line` or more. */
static inline int
line_slot_from(const code_analysis *a, int line)
{
    if (a->distinct_lines == NULL) {
        return line <= a->first_line ? 0 : line - a->first_line;
    }
    int low = 0, high = a->n_slots;
    while (low < high) {
        int middle = low + (high - low) / 2;
        if (a->distinct_lines[middle] < line) {
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
line_slot(const code_analysis *a, int line)
{
    if (line < a->first_line || line > a->last_line || line <= 0) {
        return -1;
    }
    int slot = line_slot_from(a, line);
    return a->distinct_lines == NULL || a->distinct_lines[slot] == line ? slot : -1;
}

static inline bool
is_marked_line(const code_analysis *a, int line)
{
    int slot = line_slot(a, line);
    return slot >= 0 && has_bit(a->lines, slot);
}

/* analysis/branch_lines.c */

/* The code object that the MAKE_FUNCTION at `k` is about to wrap, or NULL. */
PyCodeObject *function_made_at(const code_analysis *a, int k);

/* Mark the lines that a report may give more than one exit, and give the instructions on those that
 * it makes one the first of them. False: out of memory. */
bool mark_branch_lines(code_analysis *a);

/* analysis/control_flow.c */

enum { AMBIGUOUS = -1, UNREACHED = 0 }; /* instead of a line */
enum { NOT_COMPUTED = -2 };

/* Is the jump at `k` the one after the `except*` clauses of a try statement? */
bool ends_except_star(const code_analysis *a, int k);

/* The one line from which control enters instruction `k`, looking through instructions without a
 * line; AMBIGUOUS, or UNREACHED. */
int control_flow_line_before(code_analysis *a, int k);

/* Does control reach instruction `k` for the first time in a frame always from `line`? Everything
 * that can run before it is walked, exception handlers included. */
bool control_flow_first_entered_from(code_analysis *a, int k, int line);

/* Running instruction `k` for the first time tells the arc (line, to), unless other lines lead to
 * it, too. */
void add_instruction_arc(code_analysis *a, int k, int line, int to);

/* The line that begins at instruction `k` tells that control came from line `from`. */
void add_line_arc(code_analysis *a, int k, int from);

/* Where an exception goes that the handler at `k` gets: the line on which the handler begins, the
 * exit where nothing but clean-up handles it, or 0 where that is not certain. */
int control_flow_handler_line(const code_analysis *a, int k);

/* Is the raise at `k` that of an assert statement, which is no branch for a report? */
bool is_assertion_raise(const code_analysis *a, int k);

/* Where control goes on a new line after reaching instruction `k` from `line`: what
 * recorded_add_arc wants, or 0 where no event is needed or nothing is certain. */
int control_flow_follow(code_analysis *a, int k, int line);

/* analysis/dominators.c */

/* NULL: out of memory. */
dominator_tree *dominator_tree_new(const code_analysis *a);

void dominator_tree_free(dominator_tree *self);

/* Is there a way from the start to instruction `p` that does not lead through `k`? */
bool dominator_tree_reached_without(const dominator_tree *self, int p, int k);

/* analysis/branch_table.c */

/* What was found, in one allocation of its size; NULL: out of memory. */
flow *branch_table_pack(code_analysis *a);

/* Where there is nothing to tell. */
flow *branch_table_empty(void);

#endif
#endif
