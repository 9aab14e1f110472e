/* fires.c - an extension that sends events for functions of its own, as Cython does for those that
 * are compiled with linetrace: by sys.monitoring, or with a frame that no interpreter runs. */
#include <Python.h>
#include <frameobject.h>

#if PY_VERSION_HEX >= 0x030D0000
static const uint8_t events[] = {
    PY_MONITORING_EVENT_PY_START,
    PY_MONITORING_EVENT_LINE,
    PY_MONITORING_EVENT_PY_RETURN,
};

/* fire(code, line, then, ends): run `then` in between; without `ends`, without an event of it. */
static PyObject *
fire(PyObject *module, PyObject *args)
{
    PyObject *code, *then;
    int line, ends;
    PyMonitoringState states[3] = {{0}};
    uint64_t version = 0;
    (void)module;
    if (!PyArg_ParseTuple(args, "OiOp", &code, &line, &then, &ends) ||
        PyMonitoring_EnterScope(states, &version, events, 3) < 0 ||
        PyMonitoring_FirePyStartEvent(&states[0], code, 0) < 0 ||
        PyMonitoring_FireLineEvent(&states[1], code, 0, line) < 0) {
        return NULL;
    }
    PyObject *result = PyObject_CallNoArgs(then);
    if (result == NULL) {
        return NULL;
    }
    if ((ends && PyMonitoring_FirePyReturnEvent(&states[2], code, 0, Py_None) < 0) ||
        PyMonitoring_ExitScope() < 0) {
        Py_DECREF(result);
        return NULL;
    }
    return result;
}
#else
static PyObject *
fire(PyObject *module, PyObject *args)
{
    (void)module;
    (void)args;
    PyErr_SetString(PyExc_NotImplementedError, "C code cannot fire events");
    return NULL;
}
#endif

static int
send(PyThreadState *thread, PyFrameObject *frame, int what, PyObject *arg)
{
    if (thread->c_tracefunc == NULL) {
        return 0;
    }
    PyThreadState_EnterTracing(thread);
    int rc = thread->c_tracefunc(thread->c_traceobj, frame, what, arg);
    PyThreadState_LeaveTracing(thread);
    return rc;
}

/* trace(code) */
static PyObject *
trace(PyObject *module, PyObject *code)
{
    PyThreadState *thread = PyThreadState_Get();
    PyObject *globals = PyDict_New();
    PyFrameObject *frame =
        globals != NULL ? PyFrame_New(thread, (PyCodeObject *)code, globals, NULL) : NULL;
    (void)module;
    Py_XDECREF(globals);
    if (frame == NULL) {
        return NULL;
    }
    int rc = send(thread, frame, PyTrace_CALL, NULL);
    if (rc == 0) {
        rc = send(thread, frame, PyTrace_LINE, NULL);
    }
    if (rc == 0) {
        rc = send(thread, frame, PyTrace_RETURN, Py_None);
    }
    Py_DECREF(frame);
    if (rc != 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"fire", fire, METH_VARARGS, NULL},
    {"trace", trace, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, .m_name = "fires", .m_size = 0, .m_methods = methods};

PyMODINIT_FUNC
PyInit_fires(void)
{
    return PyModuleDef_Init(&definition);
}
