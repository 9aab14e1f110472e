/* core/code_setup.h - what has to be known of a code object that runs for the first time.
 *
 * Threads: with the interpreter's GIL.
 * Must never know: which core asks. */
#ifndef COVSUP_CORE_CODE_SETUP_H
#define COVSUP_CORE_CODE_SETUP_H

#include "core/code_state.h"

/* Make the state of a new code object, which runs with `globals`; `with_roles`: look for its roles
 * in contexts too. NULL where it needs no state, or with an exception set. */
code_state *code_setup(core *self, PyCodeObject *code, PyObject *globals, bool with_roles);

#endif
