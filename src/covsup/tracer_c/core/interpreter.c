/* core/interpreter.c - the core of the running interpreter.
 *
 * It hangs off the interpreter's own dict, because a static variable would be shared by all
 * interpreters of the process.
 *
 * Threads, Must never know: see core/interpreter.h. */
#include "core/interpreter.h"

#include "core/code_state.h"

static const char core_key[] = "covsup.core";

core *
interpreter_core(void)
{
    PyObject *dict = PyInterpreterState_GetDict(PyInterpreterState_Get());          /* borrowed */
    PyObject *capsule = dict != NULL ? PyDict_GetItemString(dict, core_key) : NULL; /* borrowed */
    if (capsule == NULL || !PyCapsule_CheckExact(capsule)) {
        return NULL;
    }
    return PyCapsule_GetPointer(capsule, core_key);
}

int
interpreter_set_core(core *self)
{
    PyObject *dict = PyInterpreterState_GetDict(PyInterpreterState_Get()); /* borrowed */
    PyObject *capsule = PyCapsule_New(self, core_key, NULL);               /* owned */
    if (dict == NULL || capsule == NULL || PyDict_SetItemString(dict, core_key, capsule) < 0) {
        Py_XDECREF(capsule);
        if (!PyErr_Occurred()) {
            PyErr_SetString(PyExc_RuntimeError, "the interpreter keeps no data for extensions");
        }
        return -1;
    }
    Py_DECREF(capsule);
    self->files = PyDict_New();
    self->sources = PyDict_New();
    if (self->files == NULL || self->sources == NULL) {
        return -1;
    }
    return code_state_reserve(self);
}

void
interpreter_remove_core(void)
{
    PyObject *dict = PyInterpreterState_GetDict(PyInterpreterState_Get()); /* borrowed */
    if (dict != NULL && PyDict_DelItemString(dict, core_key) < 0) {
        PyErr_Clear(); /* it has none */
    }
}
