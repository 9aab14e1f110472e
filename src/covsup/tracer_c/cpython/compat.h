/* cpython/compat.h - the differences between CPython versions. No other room asks for the version.
 *
 * Threads: as the functions it wraps; the GIL is held.
 * Must never know: what the callers want with it. */
#ifndef COVSUP_CPYTHON_COMPAT_H
#define COVSUP_CPYTHON_COMPAT_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#ifdef Py_GIL_DISABLED
#error                                                                                             \
    "covsup measures Pythons with the GIL, and this is the header of a free-threaded one (PEP 703)"
#endif

#include <frameobject.h>
#include <opcode.h>
#include <stdbool.h>

/* Python has sys.monitoring (PEP 669). */
#if PY_VERSION_HEX >= 0x030C0000
#define COMPAT_MONITORING 1
#else
#define COMPAT_MONITORING 0
#endif

/* C code can fire events of sys.monitoring. */
#if PY_VERSION_HEX >= 0x030D0000
#define COMPAT_FIRED_EVENTS 1
#else
#define COMPAT_FIRED_EVENTS 0
#endif

/* Each outcome of a branch has an event of its own, which can be disabled alone. */
#if PY_VERSION_HEX >= 0x030E0000
#define COMPAT_BRANCH_SIDES 1
#else
#define COMPAT_BRANCH_SIDES 0
#endif

/* On a return that yields, f_lasti is at the RESUME that follows (3.13) or at the yield (others;
 * cpython #113728). */
#if PY_VERSION_HEX >= 0x030D0000 && PY_VERSION_HEX < 0x030E0000
#define COMPAT_LASTI_AT_RESUME 1
#else
#define COMPAT_LASTI_AT_RESUME 0
#endif

/* Code units of a RESUME with its caches. */
#if PY_VERSION_HEX >= 0x030F0000
#define COMPAT_RESUME_UNITS 2
#else
#define COMPAT_RESUME_UNITS 1
#endif

/* The module with the function current_task() (3.11 has none in C). */
#if PY_VERSION_HEX >= 0x030C0000
#define COMPAT_CURRENT_TASK_MODULE "_asyncio"
#else
#define COMPAT_CURRENT_TASK_MODULE "asyncio.tasks"
#endif

/* The return event can be the only event of its line. */
#if PY_VERSION_HEX >= 0x030E0000
#define COMPAT_RETURN_NAMES_LINE 1
#else
#define COMPAT_RETURN_NAMES_LINE 0
#endif

/* To install a tracer fails while the previous one is being dropped. */
#if PY_VERSION_HEX < 0x030C0000
#define COMPAT_TRACER_NOT_REENTRANT 1
#else
#define COMPAT_TRACER_NOT_REENTRANT 0
#endif

/* Only a frame that asked for opcode events before the tracer was installed gets them. */
#if PY_VERSION_HEX >= 0x030C0000 && PY_VERSION_HEX < 0x030D0000
#define COMPAT_OPCODES_BY_SETTRACE 1
#else
#define COMPAT_OPCODES_BY_SETTRACE 0
#endif

/* A LINE event that is disabled takes with it, this once, the INSTRUCTION event of the same place.
 */
#define COMPAT_LINE_EVENT_HIDES_INSTRUCTION (PY_VERSION_HEX < 0x030D0000)

/* When CPython makes a snapshot of a frame's variables for a trace function (frame.f_locals), and
 * writes it back when that returns: always (3.11), if f_locals is used (3.12), never (3.13 on). */
#define COMPAT_LOCALS_NEVER 0
#define COMPAT_LOCALS_ASKED 1
#define COMPAT_LOCALS_ALWAYS 2
#if PY_VERSION_HEX < 0x030C0000
#define COMPAT_LOCALS_SNAPSHOT COMPAT_LOCALS_ALWAYS
#elif PY_VERSION_HEX < 0x030D0000
#define COMPAT_LOCALS_SNAPSHOT COMPAT_LOCALS_ASKED
#else
#define COMPAT_LOCALS_SNAPSHOT COMPAT_LOCALS_NEVER
#endif

#if PY_VERSION_HEX < 0x030C0000
/* The last step of PyEval_SetTrace(), for one thread. The caller holds the GIL. */
static inline void
compat_trace_in(PyThreadState *thread, Py_tracefunc function, PyObject *object)
{
    PyObject *old = thread->c_traceobj;
    thread->c_tracefunc = function;
    thread->c_traceobj = Py_NewRef(object);
    thread->cframe->use_tracing = thread->tracing == 0 ? 255 : 0;
    Py_XDECREF(old);
}
#endif

/* PyEval_SetTrace() in the calling thread. On 3.11 it fails while another thread is in it, and an
 * audit hook in Python can keep a thread there for long, or call this again. So on 3.11 the fields
 * are set here, and audit hooks see no event, which the target did not cause. */
static inline void
compat_trace_thread(Py_tracefunc function, PyObject *object)
{
#if PY_VERSION_HEX >= 0x030C0000
    PyEval_SetTrace(function, object);
#else
    compat_trace_in(PyThreadState_Get(), function, object);
#endif
}

/* The same in every thread of the interpreter. The caller must hold references to the objects that
 * are replaced: then no Python runs meanwhile on 3.11, and only audit hooks on the others. */
static inline void
compat_trace_all_threads(Py_tracefunc function, PyObject *object)
{
#if PY_VERSION_HEX >= 0x030C0000
    PyEval_SetTraceAllThreads(function, object);
#else
    for (PyThreadState *thread = PyInterpreterState_ThreadHead(PyInterpreterState_Get());
         thread != NULL; thread = PyThreadState_Next(thread)) {
        compat_trace_in(thread, function, object);
    }
#endif
}

static inline Py_ssize_t
compat_request_code_extra(freefunc release)
{
#if PY_VERSION_HEX >= 0x030C0000
    return PyUnstable_Eval_RequestCodeExtraIndex(release);
#else
    return _PyEval_RequestCodeExtraIndex(release);
#endif
}

static inline int
compat_get_code_extra(PyObject *code, Py_ssize_t index, void **extra)
{
#if PY_VERSION_HEX >= 0x030C0000
    return PyUnstable_Code_GetExtra(code, index, extra);
#else
    return _PyCode_GetExtra(code, index, extra);
#endif
}

/* Store covsup's extra data of a code object. CPython allocates an array for the extra data of all
 * users, and later calls each user's release function, with NULL where there is none: also a
 * release function that the target has made of Python code, at a time when Python cannot run any
 * more. So the array is shortened to end with covsup's entry. */
static inline int
compat_set_code_extra(PyObject *code, Py_ssize_t index, void *extra)
{
    struct {
        Py_ssize_t size;
    } **room = (void *)&((PyCodeObject *)code)->co_extra;
    Py_ssize_t before = *room != NULL ? (*room)->size : 0;
#if PY_VERSION_HEX >= 0x030C0000
    int rc = PyUnstable_Code_SetExtra(code, index, extra);
#else
    int rc = _PyCode_SetExtra(code, index, extra);
#endif
    Py_ssize_t needed = before > index ? before : index + 1;
    if (rc == 0 && *room != NULL && (*room)->size > needed) {
        (*room)->size = needed;
    }
    return rc;
}

/* CPython passes functions to other interpreters as they are, unless their code has extra data. */
#if PY_VERSION_HEX >= 0x030E0000
#define COMPAT_SHARES_FUNCTIONS 1
#else
#define COMPAT_SHARES_FUNCTIONS 0
#endif

/* Take the extra data off a code object, for compat_put_code_extras(). NULL: not all of it is
 * covsup's. */
static inline void *
compat_take_code_extras(PyObject *code, Py_ssize_t index)
{
    struct {
        Py_ssize_t size;
        void *of[];
    } *room = ((PyCodeObject *)code)->co_extra;
    bool alone = room != NULL && room->size > index && room->of[index] != NULL;
    for (Py_ssize_t i = 0; alone && i < room->size; i++) {
        alone = i == index || room->of[i] == NULL;
    }
    if (alone) {
        ((PyCodeObject *)code)->co_extra = NULL;
        return room;
    }
    return NULL;
}

/* False: the code object has got other extra data meanwhile. */
static inline bool
compat_put_code_extras(PyObject *code, void *room)
{
    if (((PyCodeObject *)code)->co_extra != NULL) {
        return false;
    }
    ((PyCodeObject *)code)->co_extra = room;
    return true;
}

/* The value of a key in a dict: new reference, or NULL without an exception. The reference is
 * needed because the target's keys may run Python when they are compared. */
static inline PyObject *
compat_dict_item(PyObject *dict, const char *key)
{
    return Py_XNewRef(PyDict_GetItemString(dict, key));
}

/* The value of a frame's variable: owned, or NULL without an exception. */
PyObject *compat_frame_variable(PyFrameObject *frame, const char *name);

/* Has the frame a snapshot of its variables? (True where f_locals is not a snapshot.) */
bool compat_frame_has_locals(PyFrameObject *frame);

/* Drop it: it would keep values alive, and a trace function would write it back. */
void compat_frame_forget_locals(PyFrameObject *frame);

/* The tracer of a frame: borrowed, or NULL. */
PyObject *compat_frame_tracer(PyFrameObject *frame);

/* Set it; steals `tracer`, which may be NULL. */
void compat_set_frame_tracer(PyFrameObject *frame, PyObject *tracer);

/* Take the current exception, as one object (NULL: none). compat_restore_exception() sets it again.
 */
static inline PyObject *
compat_take_exception(void)
{
#if PY_VERSION_HEX >= 0x030C0000
    return PyErr_GetRaisedException();
#else
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    if (type == NULL) {
        return NULL;
    }
    PyErr_NormalizeException(&type, &value, &traceback);
    if (traceback != NULL) {
        PyException_SetTraceback(value, traceback);
        Py_DECREF(traceback);
    }
    Py_DECREF(type);
    return value;
#endif
}

static inline void
compat_restore_exception(PyObject *exception)
{
#if PY_VERSION_HEX >= 0x030C0000
    PyErr_SetRaisedException(exception);
#else
    if (exception != NULL) {
        PyErr_Restore(Py_NewRef(Py_TYPE(exception)), exception,
                      PyException_GetTraceback(exception));
    }
#endif
}

#endif
