/* analysis/analysis.h - the state of one analysis.
 *
 * branches.c runs it; branch_lines.c, control_flow.c, dominators.c and table_packing.c are its
 * parts.
 *
 * Threads, Must never know: see analysis/branches.h. */
#ifndef COVSUP_ANALYSIS_ANALYSIS_H
#define COVSUP_ANALYSIS_ANALYSIS_H

#include "analysis/branch_table.h"
#include "analysis/bytecode.h"

#if COMPAT_MONITORING

typedef struct dominator_tree dominator_tree;

enum { NOT_COMPUTED = -2 };

typedef struct {
    PyCodeObject *code; /* borrowed: the caller of branch_table_new() holds it */
    decoded_code decoded;
    instruction *list; /* decoded.list */
    int count;
    int *first_jump_to; /* per instruction: the first of the jumps to it, or -1 */
    int *next_jump_to;  /* per jump: the next one with the same target, or -1 */
    /* Bitmaps by line_slot(): */
    uint8_t *lines;    /* the lines from which branches leave */
    uint8_t *starts;   /* the lines that start somewhere */
    uint8_t *restarts; /* those that start in two places or more */
    int first_line, last_line;
    int *distinct_lines; /* ascending; NULL: the slot of a line is its distance from first_line */
    int n_slots;
    int exit; /* the end of an arc that leaves the code; 0: none */
    bool has_except_star;
    bool failed;                /* out of memory */
    int *before;                /* per instruction: control_flow_line_before(), or NOT_COMPUTED */
    int *followed_from;         /* per instruction: the line from which control_flow_follow() passed
                                 * it; 0: none yet */
    dominator_tree *dominators; /* NULL until it is needed */
    branch_table out;           /* its arrays are large enough for anything */
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

/* The index of `line` in tables by line, or -1 where the code has no such line. The tables grow
 * with the code, not with its line numbers. */
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

#endif
#endif
