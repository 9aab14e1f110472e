/* analysis/dominators.h - which instructions every way from the start leads through.
 *
 * Threads, Must never know: see analysis/branches.h. */
#ifndef COVSUP_ANALYSIS_DOMINATORS_H
#define COVSUP_ANALYSIS_DOMINATORS_H

#include "analysis/analysis.h"

#if COMPAT_MONITORING

/* NULL: out of memory. */
dominator_tree *dominator_tree_new(const code_analysis *a);

void dominator_tree_free(dominator_tree *self);

/* Is there a way from the start to instruction `p` that does not lead through `k`? */
bool dominator_tree_reached_without(const dominator_tree *self, int p, int k);

#endif
#endif
