/* core/running_frames.c - measure the frames that already run when measurement begins.
 *
 * A core gets an event when a frame starts. Frames that started before have to be found:
 * - the frames of a thread hang off its thread state;
 * - a suspended generator or coroutine has an event when it resumes: the monitoring core asks for
 *   it, and a trace function gets it anyway;
 * - a suspended greenlet has no such event, and is found among the garbage collector's objects. On
 *   3.11 that is not needed: the greenlet that is switched to inherits that the thread is traced.
 *
 * Threads, Must never know: see core/running_frames.h. */
#include "core/running_frames.h"

#include <stdlib.h>

#include "contexts/contexts.h"
#include "contexts/record.h"
#include "files/file_decision.h"
#include "monitoring/monitoring_core.h"
#include "monitoring/tool.h"
#include "settrace/settrace_core.h"
#include "settrace/thread_trace.h"

/* Has the frame begun its first line? Before that its position is the line of the definition. */
static bool
has_begun(PyFrameObject *frame, PyCodeObject *code)
{
    return PyFrame_GetLasti(frame) > 2 * code->_co_firsttraceable;
}

enum whose { OWN, OTHER_THREADS, SUSPENDED };

static int
measure_frame(core *self, PyFrameObject *frame, enum whose whose)
{
    PyCodeObject *code = PyFrame_GetCode(frame);   /* owned */
    PyObject *globals = PyFrame_GetGlobals(frame); /* owned */
    file_disposition disposition = {0};
    file_decide(self, code, globals, &disposition);
    int rc = PyErr_Occurred() ? -1 : 0;
#if COMPAT_MONITORING
    if (rc == 0 && self->settrace_event == NULL) {
        rc = monitoring_measure_running(self, code, globals);
    } else if (rc == 0 && whose == SUSPENDED &&
               (disposition.file != NULL || disposition.claim != NULL)) {
        rc = monitoring_rewrite_suspended(self, code);
    }
#endif
    if (rc == 0 && disposition.file != NULL && has_begun(frame, code)) {
        int line = PyFrame_GetLineNumber(frame);
        if (whose == OWN) {
            core_record_line(self, disposition.file, line); /* it counts a loss */
            if (self->settrace_event != NULL) {
                settrace_measure_frame(self, frame);
            }
        } else if (whose == OTHER_THREADS && !self->records_contexts) {
            /* With contexts, the line would have to be recorded in the context of that thread. */
            record_line_in(NULL, disposition.file, line);
        }
    }
    Py_DECREF(globals);
    Py_DECREF(code);
    return rc;
}

int
running_frames_measure_one(core *self, PyFrameObject *frame)
{
    return measure_frame(self, frame, OWN);
}

/* Measure `frame`, a reference to which the caller holds, and its callers. */
static int
measure_stack(core *self, PyFrameObject *frame, enum whose whose)
{
    int rc = 0;
    Py_INCREF(frame);
    while (rc == 0 && frame != NULL) {
        rc = measure_frame(self, frame, whose);
        PyFrameObject *caller = PyFrame_GetBack(frame); /* owned */
        Py_DECREF(frame);
        frame = caller;
    }
    Py_XDECREF(frame);
    return rc;
}

/* A list of objects, with a reference to each. */
typedef struct {
    PyObject **items;
    size_t count, room;
    bool failed;
} object_list;

static void
hold(object_list *list, PyObject *object)
{
    if (list->count == list->room) {
        size_t room = list->room == 0 ? 64 : 2 * list->room;
        PyObject **items = realloc(list->items, room * sizeof(*items));
        if (items == NULL) {
            list->failed = true;
            return;
        }
        list->items = items;
        list->room = room;
    }
    list->items[list->count++] = Py_NewRef(object);
}

static void
drop_all(object_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        Py_DECREF(list->items[i]);
    }
    free(list->items);
}

static int
measure_threads(core *self)
{
    object_list frames = {0};
    PyThreadState *own = PyThreadState_Get();
    /* No thread can end while this one holds the GIL. But the walk makes frame objects, and 3.11
     * may collect garbage where an object is made, which can run Python and release the GIL. */
    int collects = PyGC_Disable();
    for (PyThreadState *thread = PyInterpreterState_ThreadHead(PyInterpreterState_Get());
         thread != NULL; thread = PyThreadState_Next(thread)) {
        PyFrameObject *frame = thread != own ? PyThreadState_GetFrame(thread) : NULL; /* owned */
        if (frame != NULL) {
            hold(&frames, (PyObject *)frame);
            Py_DECREF(frame);
        }
    }
    if (collects) {
        PyGC_Enable();
    }
    int rc = 0;
    if (frames.failed) {
        PyErr_NoMemory();
        rc = -1;
    }
    for (size_t i = 0; rc == 0 && i < frames.count; i++) {
        rc = measure_stack(self, (PyFrameObject *)frames.items[i], OTHER_THREADS);
    }
    drop_all(&frames);
    return rc;
}

#if COMPAT_MONITORING

typedef struct {
    PyTypeObject *type;
    object_list found;
} greenlet_search;

static int
visit_object(PyObject *object, void *data)
{
    greenlet_search *search = data;
    if (PyObject_TypeCheck(object, search->type) && Py_REFCNT(object) > 0) {
        hold(&search->found, object);
    }
    return !search->found.failed;
}

/* An attribute of an imported module; new reference, or NULL, perhaps with an exception. */
static PyObject *
imported_attribute(const char *module_name, const char *attribute)
{
    PyObject *name = PyUnicode_FromString(module_name);                /* owned */
    PyObject *module = name != NULL ? PyImport_GetModule(name) : NULL; /* owned */
    PyObject *value = module != NULL ? PyObject_GetAttrString(module, attribute) : NULL;
    Py_XDECREF(module);
    Py_XDECREF(name);
    return value;
}

static int
measure_greenlets(core *self)
{
    PyObject *type = imported_attribute("greenlet._greenlet", "greenlet"); /* owned */
    if (type == NULL || !PyType_Check(type)) {
        Py_XDECREF(type);
        return PyErr_Occurred() ? -1 : 0;
    }
    /* The attribute of the base type: a derived type may have replaced it with Python code. */
    PyObject *frame_of = PyObject_GetAttrString(type, "gr_frame"); /* owned */
    descrgetfunc get = frame_of != NULL ? Py_TYPE(frame_of)->tp_descr_get : NULL;
    greenlet_search search = {.type = (PyTypeObject *)type};
    int rc = frame_of != NULL ? 0 : -1;
    if (rc == 0 && get != NULL) {
        PyUnstable_GC_VisitObjects(visit_object, &search);
    }
    if (search.found.failed) {
        PyErr_NoMemory();
        rc = -1;
    }
    for (size_t i = 0; rc == 0 && i < search.found.count; i++) {
        PyObject *frame =
            get(frame_of, search.found.items[i], type); /* owned; None: not suspended */
        if (frame == NULL) {
            rc = -1;
        } else if (PyFrame_Check(frame)) {
            rc = measure_stack(self, (PyFrameObject *)frame, SUSPENDED);
        }
        Py_XDECREF(frame);
    }
    drop_all(&search.found);
    Py_XDECREF(frame_of);
    Py_DECREF(type);
    return rc;
}

#else

static int
measure_greenlets(core *self)
{
    (void)self;
    return 0;
}

#endif

int
running_frames_measure(core *self, PyFrameObject *frame)
{
    int rc;
#if COMPAT_MONITORING
    rc = self->settrace_event == NULL ? monitoring_await_resumed(self)
                                      : thread_trace_start_all(self);
#else
    rc = thread_trace_start_all(self);
#endif
    if (rc == 0) {
        rc = measure_stack(self, frame, OWN);
    }
    if (rc == 0) {
        rc = measure_threads(self);
    }
    return rc == 0 ? measure_greenlets(self) : rc;
}
