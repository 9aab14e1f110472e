/* monitoring/dormancy.h - code objects whose events stay disabled as long as the context stays.
 *
 * Where contexts are recorded, an event cannot be disabled once its line is recorded: another
 * thread, task or greenlet may run the same code in another context, and no event reports such a
 * switch. So events stay enabled, although most of them repeat what is recorded. A code object that
 * has had only repeats for long becomes dormant: its events are disabled as they come, except those
 * of its first line, until its frames may run in another context.
 *
 * A dormant code object has one frame, is no generator, and there are no other threads and no
 * greenlets. Then only two things change the context: a new frame, which sends an event of the
 * first line, and contexts/, which calls core->on_context_change. (C code that enters a
 * contextvars.Context and returns into the frame that called it is not taken into account.)
 *
 * Threads: with the interpreter's GIL; the core's lock guards the list.
 * Must never know: the layout of the journal. */
#ifndef COVSUP_MONITORING_DORMANCY_H
#define COVSUP_MONITORING_DORMANCY_H

#include "core/code_state.h"

#if COMPAT_MONITORING

/* An event of `state` came in the context `context_id` and repeated what is recorded; after many of
 * them the code object becomes dormant. Sets no exception. */
void dormancy_note_repeat(core *self, code_state *state, uint32_t context_id);

/* The events of a dormant code object are needed again. -1 with an exception set. */
int dormancy_end(core *self, code_state *state);

/* The same for all of them. */
int dormancy_end_all(core *self);

#endif
#endif
