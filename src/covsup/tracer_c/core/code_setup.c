/* core/code_setup.c - what has to be known of a code object that runs for the first time.
 *
 * Threads, Must never know: see core/code_setup.h. */
#include "core/code_setup.h"

#include "contexts/scopes.h"
#include "files/file_decision.h"

code_state *
code_setup(core *self, PyCodeObject *code, PyObject *globals, bool with_roles)
{
    file_disposition disposition = {0};
    const char *key_variable = NULL;
    bool measured = file_decide(self, code, globals, &disposition);
    unsigned roles =
        with_roles && !PyErr_Occurred() ? scope_roles(self, code, measured, &key_variable) : 0;
    code_state *state = measured || roles != 0 ? code_state_add(self, code, disposition) : NULL;
    if (state != NULL) {
        state->roles = roles;
        state->key_variable = key_variable;
    }
    return state;
}
