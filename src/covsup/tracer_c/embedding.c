/* embedding.c - what a program that knows of covsup may ask for (covsup.embed).
 *
 * Threads: with an attached thread state; each may be called on any thread at any time.
 * Must never know: how a core or the journal does its work. */
#include "core.h"

#include "contexts.h"
#include "end_signals.h"
#include "facts.h"
#include "journal.h"
#include "embedding.h"

PyDoc_STRVAR(pause_doc, "pause()\n--\n\n"
                        "Record no facts in this process until resume() was called as often.");

static PyObject *
pause_facts(PyObject *module, PyObject *unused)
{
    facts_pause();
    Py_RETURN_NONE;
}

/* The line that a frame is in has begun while nothing was recorded, and is going on. */
static int
join_frame(core *self, PyFrameObject *frame)
{
    int rc = 0;
    PyCodeObject *code = PyFrame_GetCode(frame);   /* owned */
    PyObject *globals = PyFrame_GetGlobals(frame); /* owned */
    measured_as as = {0};
    core_file_of(self, code, globals, &as);
    if (as.file != NULL) {
        /* What is lost is counted there. */
        tell_line(self, as.file, PyFrame_GetLineNumber(frame));
        if (self->settrace_event != NULL) {
            settrace_join(self, frame);
        }
#if COMPAT_MONITORING
        else {
            rc = monitoring_watch_running(self, code, as);
        }
#endif
    } else if (PyErr_Occurred()) {
        rc = -1;
    }
    Py_DECREF(globals);
    Py_DECREF(code);
    return rc;
}

PyDoc_STRVAR(resume_doc, "resume(frame)\n--\n\n"
                         "Undo one pause(); `frame` is that of the caller, whose line goes on.");

static PyObject *
resume_facts(PyObject *module, PyObject *frame)
{
    if (!PyFrame_Check(frame)) {
        PyErr_SetString(PyExc_TypeError, "resume() takes a frame");
        return NULL;
    }
    core *self = core_of_interpreter();
    if (facts_resume() && self != NULL && join_frame(self, (PyFrameObject *)frame) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

PyDoc_STRVAR(flush_doc, "flush()\n--\n\n"
                        "Have the system write the journal to its disk now; True if it did.");

static PyObject *
flush_journal(PyObject *module, PyObject *unused)
{
    int rc;
    Py_BEGIN_ALLOW_THREADS
    rc = journal_sync();
    Py_END_ALLOW_THREADS
    return PyBool_FromLong(rc == 0);
}

PyDoc_STRVAR(tell_of_signal_doc, "tell_of_signal(number)\n--\n\n"
                                 "Have the journal say so when this signal comes.");

static PyObject *
tell_of_signal(PyObject *module, PyObject *number)
{
    int overflow;
    long value = PyLong_AsLongAndOverflow(number, &overflow);
    if (value == -1 && PyErr_Occurred()) {
        return NULL;
    }
    if (overflow == 0 && value > 0 && value <= INT_MAX) {
        end_signals_tell((int)value);
    }
    Py_RETURN_NONE;
}

PyDoc_STRVAR(join_doc, "join(frame)\n--\n\n"
                       "Measure the functions that run already: `frame`, and all that called it.");

static PyObject *
join_frames(PyObject *module, PyObject *frame)
{
    core *self = core_of_interpreter();
    if (!PyFrame_Check(frame) || self == NULL) {
        PyErr_SetString(PyExc_TypeError, "join() takes a frame of a measured interpreter");
        return NULL;
    }
    PyFrameObject *now = (PyFrameObject *)Py_NewRef(frame);
    int rc = 0;
    while (rc == 0 && now != NULL) {
        rc = join_frame(self, now);
        PyFrameObject *caller = PyFrame_GetBack(now);
        Py_DECREF(now);
        now = caller;
    }
    Py_XDECREF(now);
    if (rc < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"pause", pause_facts, METH_NOARGS, pause_doc},
    {"resume", resume_facts, METH_O, resume_doc},
    {"join", join_frames, METH_O, join_doc},
    {"flush", flush_journal, METH_NOARGS, flush_doc},
    {"tell_of_signal", tell_of_signal, METH_O, tell_of_signal_doc},
    {NULL, NULL, 0, NULL},
};

int
embedding_add(PyObject *module)
{
    return PyModule_AddFunctions(module, methods);
}
