/* core/interpreter.h - the core of the running interpreter.
 *
 * Threads: with an attached thread state.
 * Must never know: which of the two cores it is. */
#ifndef COVSUP_CORE_INTERPRETER_H
#define COVSUP_CORE_INTERPRETER_H

#include "core/core.h"

/* The core of the running interpreter; NULL where none was started. Sets no exception. */
core *interpreter_core(void);

/* Make `self` the core of the running interpreter, ready to be started. -1 with an exception set.
 */
int interpreter_set_core(core *self);

/* The running interpreter has no core any more. The core stays allocated: callbacks in other
 * threads and code objects may point to it. */
void interpreter_remove_core(void);

#endif
