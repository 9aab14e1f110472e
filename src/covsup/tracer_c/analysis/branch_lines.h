/* analysis/branch_lines.h - the lines of a code object that a report may give more than one exit.
 *
 * Threads, Must never know: see analysis/branches.h. */
#ifndef COVSUP_ANALYSIS_BRANCH_LINES_H
#define COVSUP_ANALYSIS_BRANCH_LINES_H

#include "analysis/analysis.h"

#if COMPAT_MONITORING

/* Mark these lines, and give instructions on the later lines of an expression the line on which it
 * begins, as a report counts them. False: out of memory. */
bool branch_lines_mark(code_analysis *a);

#endif
#endif
