/* module/module_core.c - the core that belongs to the module of an interpreter.
 *
 * Threads, Must never know: see module/module_core.h. */
#include "module/module_core.h"

#include <stdlib.h>

int
module_new_core(PyObject *module)
{
    module_state *state = PyModule_GetState(module);
    core *made = calloc(1, sizeof(*made));
    if (made == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    made->module = module;
    made->tool = -1;
    if (pthread_mutex_init(&made->lock, NULL) != 0) {
        PyErr_SetString(PyExc_RuntimeError, "no lock can be made");
        free(made);
        return -1;
    }
    state->core = made;
    return 0;
}
