/* contexts/current.h - the current context: of the variable, the thread, the interpreter.
 *
 * Threads: with an attached thread state.
 * Must never know: where events come from, what is recorded. */
#ifndef COVSUP_CONTEXTS_CURRENT_H
#define COVSUP_CONTEXTS_CURRENT_H

#include "contexts/state.h"

/* The chain of the context variable, or else of the thread or the interpreter, as it was stored:
 * the code may have moved to another thread or task since. Borrowed, or NULL without an exception.
 * Use it before any Python can run. */
PyObject *contexts_stored_chain(contexts *self);

/* The current segments; owned, or NULL with an exception set. */
PyObject *contexts_segments(contexts *self);

/* Make the segments current. The context variable's token (owned), or NULL with an exception set.
 */
PyObject *contexts_set_segments(contexts *self, PyObject *segments);

/* Go back to what the variable was before a token was made. -1: exception set. */
int contexts_reset(contexts *self, PyObject *token);

/* Facts have contexts from now on. -1: exception set. */
int contexts_enable(contexts *self);

#endif
