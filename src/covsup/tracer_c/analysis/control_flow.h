/* analysis/control_flow.h - where control goes from an instruction, and where it comes from.
 *
 * Threads, Must never know: see analysis/branches.h. */
#ifndef COVSUP_ANALYSIS_CONTROL_FLOW_H
#define COVSUP_ANALYSIS_CONTROL_FLOW_H

#include "analysis/analysis.h"

#if COMPAT_MONITORING

enum { AMBIGUOUS = -1, UNREACHED = 0 }; /* in place of a line */

/* Is the jump at `k` the one after the `except*` clauses of a try statement? */
bool control_flow_ends_except_star(const code_analysis *a, int k);

/* The one line from which control enters instruction `k`, looking back over instructions without a
 * line; AMBIGUOUS, or UNREACHED. */
int control_flow_line_before(code_analysis *a, int k);

/* Does control come from `line` whenever it reaches instruction `k` for the first time in a frame?
 * Everything that can run before it counts, exception handlers included. */
bool control_flow_first_entered_from(code_analysis *a, int k, int line);

/* Note that running instruction `k` implies the arc (line, to), unless other lines lead to it. */
void control_flow_add_instruction_arc(code_analysis *a, int k, int line, int to);

/* Note that the LINE event of instruction `k` implies that control came from line `from`. */
void control_flow_add_line_arc(code_analysis *a, int k, int from);

/* Where an exception goes that reaches the handler at `k`: the line on which the handler begins;
 * the exit, where only clean-up code handles it; 0 where that is not certain. */
int control_flow_handler_line(const code_analysis *a, int k);

/* Is the raise at `k` that of an assert statement, which is no branch in a report? */
bool control_flow_is_assertion(const code_analysis *a, int k);

/* The line (negative: the exit; or ARC_PENDING) to which control goes on after it reached
 * instruction `k` from `line`. 0: no event of the branch is needed, or nothing is certain; an arc
 * that another event implies is noted here. */
int control_flow_follow(code_analysis *a, int k, int line);

#endif
#endif
