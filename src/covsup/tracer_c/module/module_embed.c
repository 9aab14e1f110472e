/* module/module_embed.c - the module's functions for covsup.embed.
 *
 * Threads: with an attached thread state, on any thread, at any time.
 * Must never know: how a core or the journal does its work. */
#include "process/fatal_signals.h"
#include "recorded/recorded.h"
#include "journal/format.h"
#include "journal/journal.h"
#include "module/module_embed.h"
#include "core/interpreter.h"
#include "core/running_frames.h"

PyDoc_STRVAR(pause_doc, "pause()\n--\n\n"
                        "Record nothing in this process until resume() was called as often.");

static PyObject *
pause_recording(PyObject *module, PyObject *unused)
{
    recording_pause();
    Py_RETURN_NONE;
}

PyDoc_STRVAR(resume_doc,
             "resume(frame)\n--\n\n"
             "Undo one pause(). `frame` is the caller's: its current line is measured.");

static PyObject *
resume_recording(PyObject *module, PyObject *frame)
{
    if (!PyFrame_Check(frame)) {
        PyErr_SetString(PyExc_TypeError, "resume() takes a frame");
        return NULL;
    }
    core *self = interpreter_core();
    if (recording_resume() && self != NULL &&
        running_frames_measure_one(self, (PyFrameObject *)frame) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

PyDoc_STRVAR(flush_doc, "flush()\n--\n\n"
                        "Write the journal to the disk now; True: done.");

static PyObject *
flush_journal(PyObject *module, PyObject *unused)
{
    int rc;
    Py_BEGIN_ALLOW_THREADS
    rc = journal_sync();
    Py_END_ALLOW_THREADS
    return PyBool_FromLong(rc == 0);
}

PyDoc_STRVAR(record_signal_doc, "record_signal(number)\n--\n\n"
                                "Record this signal in the journal when it arrives.");

static PyObject *
record_signal(PyObject *module, PyObject *number)
{
    int overflow;
    long value = PyLong_AsLongAndOverflow(number, &overflow);
    if (value == -1 && PyErr_Occurred()) {
        return NULL;
    }
    if (overflow == 0 && value > 0 && value <= INT_MAX) {
        fatal_signals_record((int)value);
    }
    Py_RETURN_NONE;
}

PyDoc_STRVAR(join_doc, "join(frame)\n--\n\n"
                       "Measure functions that run already: `frame`, its callers, those of "
                       "other threads, and suspended ones.");

static PyObject *
join_frames(PyObject *module, PyObject *frame)
{
    core *self = interpreter_core();
    if (!PyFrame_Check(frame) || self == NULL) {
        PyErr_SetString(PyExc_TypeError, "join() takes a frame of a measured interpreter");
        return NULL;
    }
    if (running_frames_measure(self, (PyFrameObject *)frame) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

PyDoc_STRVAR(journal_layout_doc,
             "journal_layout()\n--\n\n"
             "The size of a journal's header, and the offsets of slots_at, slot_size, tail and\n"
             "slots_used in it: the arguments of covsup.mark_files.JournalLayout.");

static PyObject *
journal_layout(PyObject *module, PyObject *unused)
{
    return Py_BuildValue("iiiii", (int)JOURNAL_HEADER_SIZE, (int)offsetof(journal_header, slots_at),
                         (int)offsetof(journal_header, slot_size),
                         (int)offsetof(journal_header, tail),
                         (int)offsetof(journal_header, slots_used));
}

PyDoc_STRVAR(journal_tails_doc, "journal_tails()\n--\n\n"
                                "How far this process's journal is: (image id, segment, tail) for\n"
                                "each of its segments.");

static PyObject *
journal_tails(PyObject *module, PyObject *unused)
{
    PyObject *tails = PyList_New(0); /* owned */
    journal_tail found;
    for (uint32_t at = 0; tails != NULL && journal_tail_at(at, &found) == 0; at++) {
        PyObject *image_id = PyBytes_FromStringAndSize((const char *)found.image_id,
                                                       sizeof(found.image_id)); /* owned */
        PyObject *tail = image_id == NULL ? NULL
                                          : Py_BuildValue("OIK", image_id, found.segment,
                                                          (unsigned long long)found.tail);
        Py_XDECREF(image_id);
        if (tail == NULL || PyList_Append(tails, tail) < 0) {
            Py_CLEAR(tails);
        }
        Py_XDECREF(tail);
    }
    return tails;
}

static PyMethodDef methods[] = {
    {"pause", pause_recording, METH_NOARGS, pause_doc},
    {"resume", resume_recording, METH_O, resume_doc},
    {"join", join_frames, METH_O, join_doc},
    {"flush", flush_journal, METH_NOARGS, flush_doc},
    {"journal_tails", journal_tails, METH_NOARGS, journal_tails_doc},
    {"journal_layout", journal_layout, METH_NOARGS, journal_layout_doc},
    {"record_signal", record_signal, METH_O, record_signal_doc},
    {NULL, NULL, 0, NULL},
};

int
module_embed_add(PyObject *module)
{
    return PyModule_AddFunctions(module, methods);
}
