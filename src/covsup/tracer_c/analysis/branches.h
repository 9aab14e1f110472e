/* analysis/branches.h - what the events of one code object tell about branches.
 *
 * Built once per measured code object from its bytecode and line table, under sys.monitoring.
 * Must never know: events, files, the journal. */
#ifndef COVSUP_ANALYSIS_BRANCHES_H
#define COVSUP_ANALYSIS_BRANCHES_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "cpython/compat.h"

/* When the line that starts at `at` begins for the first time, control came from line `from`: there
 * is no other way to it. Where `to` is not 0, it stays on line `from` and will leave it for that.
 */
typedef struct {
    int at; /* a line that starts nowhere else; of others, the offset in bytes, as in f_lasti */
    int from;
    int to;
} line_arc;

/* What a conditional jump tells: the line reached (negative: the exit) when it falls through and
 * when it jumps; 0 where the outcome needs no event (it stays within the line, or something else
 * tells it).
 *
 * After the `except*` clauses of a try statement one more jump, on no line, decides whether what is
 * left of the group is raised again. An outcome that leads there is ARC_PENDING: the frame's next
 * event is that of the jump, whose line is ARC_PENDING too, and tells where the outcome led. */
typedef struct {
    int offset; /* of the jump, in bytes, as in branch events */
    int next;   /* the offset that is its destination when it falls through */
    int line;
    int falls_to;
    int jumps_to;
    bool falls_recorded,
        jumps_recorded; /* for good: an event that both outcomes share may be disabled */
    uint32_t falls_context, jumps_context; /* the id of the context in which it was told last */
} branch_outcomes;

#define NO_CONTEXT_ID UINT32_MAX
#define ARC_PENDING INT_MIN

/* Running the instruction at `offset` tells the arc (line, to); `to` may be ARC_PENDING. */
typedef struct {
    int offset;
    int line;
    int to;
} instruction_arc;

typedef struct {
    line_arc *unique_line_arcs; /* by line */
    line_arc *targets;          /* by offset, like all that follow; each in ascending order */
    branch_outcomes *branches;
    instruction_arc *returns; /* by PY_RETURN events */
    instruction_arc *steps;   /* by INSTRUCTION events */
    int n_unique_line_arcs, n_line_arcs, n_branches, n_return_arcs, n_instruction_arcs;
    uint64_t unique_lines; /* bit (line % 64) is set for the line of each lone target */
    uint64_t shared_lines; /* likewise for the other targets */
} flow;

/* The flow of `code`, or NULL with an exception set. Without `branches` it has nothing but
 * the branches that lead to lines for which the interpreter sends no LINE event. Free with
 * branch_table_free. */
flow *branch_table_new(PyCodeObject *code, bool branches);

void branch_table_free(flow *self);

/* The target that is the only start of `line`, or NULL. */
const line_arc *line_arc_of_line(const flow *self, int line);

/* The entry at `offset`, or NULL. */
const line_arc *line_arc_at(const flow *self, int offset);
branch_outcomes *branch_outcomes_at(const flow *self, int offset);
const instruction_arc *return_arc_at(const flow *self, int offset);
const instruction_arc *instruction_arc_at(const flow *self, int offset);

/* The line that has begun already when `code` starts, because its first statement stands on the
 * line of its own definition (no LINE event is sent for that on 3.13 to 3.15); 0: none. */
int code_resume_line(PyCodeObject *code);

#endif
