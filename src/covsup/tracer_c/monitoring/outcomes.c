/* monitoring/outcomes.c - record what the events of branches imply.
 *
 * Threads, Must never know: see monitoring/outcomes.h. */
#include "monitoring/outcomes.h"

#if COMPAT_MONITORING

#include "monitoring/dormancy.h"
#include "contexts/record.h"

/* The first half of an arc that the frame's next event completes (ARC_PENDING). Other frames may
 * run in between: unbinding the name of an exception can drop the last reference to an object. The
 * pointers are only compared. */
static _Thread_local struct {
    const PyFrameObject *frame;
    const code_state *state;
    int line;
} pending;

void
outcome_defer(const code_state *state, int line)
{
    pending.frame = PyEval_GetFrame(); /* borrowed */
    pending.state = state;
    pending.line = line;
}

static void
record_deferred_arc(const code_state *state, int to, context_recorded *context)
{
    const PyFrameObject *frame = PyEval_GetFrame(); /* borrowed */
    if (frame == NULL || pending.frame != frame || pending.state != state || to == 0) {
        pending.frame = NULL;
    } else if (to != ARC_PENDING) { /* else this try statement ends the clause of another one */
        (void)record_arc_in(context, state->file, pending.line, to);
        pending.frame = NULL;
    }
}

bool
outcome_record(core *self, code_state *state, branch_outcomes *branch, bool jumps,
               context_recorded *context, uint32_t context_id)
{
    int to = jumps ? branch->jumps_to : branch->falls_to;
    uint32_t *recorded_in = jumps ? &branch->jumps_context : &branch->falls_context;
    if (branch->line == ARC_PENDING) {
        record_deferred_arc(state, to, context);
        return false;
    }
    if (to == ARC_PENDING) {
        outcome_defer(state, branch->line);
        return false;
    }
    if (to == 0) {
        return true;
    }
    if (self->records_contexts && *recorded_in == context_id) {
        dormancy_note_repeat(self, state, context_id);
        return true;
    }
    bool stored = to > 0 && !self->branch ? record_line_in(context, state->file, to)
                                          : record_arc_in(context, state->file, branch->line, to);
    if (stored && self->records_contexts) {
        *recorded_in = context_id;
    }
    return stored;
}

#endif
