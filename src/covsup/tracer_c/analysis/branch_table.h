/* analysis/branch_table.h - what the events of one code object say about branches.
 *
 * Built once per measured code object (analysis/branches.h), under sys.monitoring. Only the
 * `recorded` and `context` fields of branch_outcomes change afterwards.
 *
 * Threads: with the interpreter's GIL.
 * Must never know: events, files, the journal. */
#ifndef COVSUP_ANALYSIS_BRANCH_TABLE_H
#define COVSUP_ANALYSIS_BRANCH_TABLE_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "cpython/compat.h"

/* The arc that a LINE event implies: control can come to this line only from line `from`. Where
 * `to` is not 0, the arc is (from, to) instead: the event comes while control is still on line
 * `from`. */
typedef struct {
    int at; /* the line, if it starts in one place; else the offset in bytes, as f_lasti has it */
    int from;
    int to;
} line_arc;

/* What a conditional jump implies: the line reached (negative: the exit) when it falls through and
 * when it jumps. 0: that outcome needs no event; it stays within the line, or another event implies
 * the arc.
 *
 * After the `except*` clauses of a try statement one more jump, without a line, decides whether the
 * rest of the group is raised again. An outcome that leads to that jump is ARC_PENDING: the frame's
 * next event is the jump's, whose own `line` is ARC_PENDING, and it completes the arc. */
typedef struct {
    int offset; /* of the jump, in bytes, as in branch events */
    int next;   /* offset of the instruction to which it falls through */
    int line;
    int falls_to;
    int jumps_to;
    bool falls_recorded, jumps_recorded;   /* outside of contexts (3.12, 3.13: one shared event) */
    uint32_t falls_context, jumps_context; /* id of the context that recorded it last */
} branch_outcomes;

#define NO_CONTEXT_ID UINT32_MAX
#define ARC_PENDING INT_MIN

/* Running the instruction at `offset` implies the arc (line, to); `to` may be ARC_PENDING. */
typedef struct {
    int offset; /* in bytes */
    int line;
    int to;
} instruction_arc;

/* Each array is in ascending order of its first field. */
typedef struct branch_table {
    line_arc *unique_line_arcs; /* by line: of lines that start in one place */
    line_arc *line_arcs;        /* by offset: of the other lines */
    branch_outcomes *branches;
    instruction_arc *return_arcs;      /* by PY_RETURN events */
    instruction_arc *instruction_arcs; /* by INSTRUCTION events */
    int n_unique_line_arcs, n_line_arcs, n_branches, n_return_arcs, n_instruction_arcs;
    uint64_t unique_lines; /* bit (line % 64) is set for each of unique_line_arcs */
    uint64_t shared_lines; /* likewise for the lines of line_arcs */
} branch_table;

/* The one table without entries, which all code objects without branches share. */
branch_table *branch_table_empty(void);

void branch_table_free(branch_table *self);

/* The entry for `line`, if it starts in one place; else NULL. */
const line_arc *line_arc_of_line(const branch_table *self, int line);

/* The entry at `offset`, or NULL. */
const line_arc *line_arc_at(const branch_table *self, int offset);
branch_outcomes *branch_outcomes_at(const branch_table *self, int offset);
const instruction_arc *return_arc_at(const branch_table *self, int offset);
const instruction_arc *instruction_arc_at(const branch_table *self, int offset);

#endif
