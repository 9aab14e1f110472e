/* monitoring/outcomes.h - record what the events of branches imply.
 *
 * Threads: with the interpreter's GIL. The first half of an arc is kept for each thread.
 * Must never know: adapters, the layout of the journal. */
#ifndef COVSUP_MONITORING_OUTCOMES_H
#define COVSUP_MONITORING_OUTCOMES_H

#include "contexts/contexts.h"

#if COMPAT_MONITORING

#include "analysis/branch_table.h"
#include "core/code_state.h"

/* Record an outcome of a branch, unless this context was the last to record it. False: it could not
 * be stored, or its events are needed each time. */
bool outcome_record(core *self, code_state *state, branch_outcomes *branch, bool jumps,
                    context_recorded *context, uint32_t context_id);

/* An arc begins on `line` of the running frame, and its next event completes it (ARC_PENDING). */
void outcome_defer(const code_state *state, int line);

#endif
#endif
