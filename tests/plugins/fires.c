/* fires.c - an extension that fires events of sys.monitoring for a code object that no frame
 * executes, as Cython does for functions that are compiled with linetrace. */
#include <Python.h>

static const uint8_t events[] = {
    PY_MONITORING_EVENT_PY_START,
    PY_MONITORING_EVENT_LINE,
    PY_MONITORING_EVENT_PY_RETURN,
};

static PyObject *
fire(PyObject *module, PyObject *code)
{
    PyMonitoringState states[3] = {{0}};
    uint64_t version = 0;
    (void)module;
    if (PyMonitoring_EnterScope(states, &version, events, 3) < 0 ||
        PyMonitoring_FirePyStartEvent(&states[0], code, 0) < 0 ||
        PyMonitoring_FireLineEvent(&states[1], code, 0, 1000) < 0 ||
        PyMonitoring_FirePyReturnEvent(&states[2], code, 0, Py_None) < 0 ||
        PyMonitoring_ExitScope() < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {{"fire", fire, METH_O, NULL}, {NULL, NULL, 0, NULL}};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, .m_name = "fires", .m_size = 0, .m_methods = methods};

PyMODINIT_FUNC
PyInit_fires(void)
{
    return PyModuleDef_Init(&definition);
}
