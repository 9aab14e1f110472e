/* monitoring/fired_events.c - see monitoring/fired_events.h. */
#include "monitoring/fired_events.h"

#include "files/measured_file.h"
#include "journal/journal.h"
#include "plugins/file_tracer.h"
#include "journal/format.h"

#include <stdlib.h>
#include <string.h>

/* supervisor/combining/finish.py looks for these texts, to warn the user at the end of a run. */
#define FIRES "C code fires events of its own: "
#define FIRES_UNSEEN "C code outside of what is measured fires events of its own: "

bool
fired_is_executed(const PyCodeObject *code)
{
    PyFrameObject *frame = PyEval_GetFrame(); /* borrowed */
    PyCodeObject *executed = frame != NULL ? PyFrame_GetCode(frame) : NULL;
    Py_XDECREF(executed); /* only compared */
    return executed == code;
}

/* Is `name` new here? No exception is set. */
static bool
is_first_note(core *self, PyObject *name)
{
    PyObject *kept = compat_take_exception(); /* owned, or NULL */
    if (self->fired == NULL) {
        self->fired = PySet_New(NULL);
    }
    bool is_first_note = self->fired != NULL && PySet_Contains(self->fired, name) == 0 &&
                         PySet_Add(self->fired, name) == 0;
    PyErr_Clear(); /* no memory: no note */
    compat_restore_exception(kept);
    return is_first_note;
}

static void
note(const char *kind, const char *what)
{
    char *text = malloc(strlen(kind) + strlen(what) + 1);
    if (text != NULL) {
        (void)stpcpy(stpcpy(text, kind), what);
        (void)journal_event(EVENT_NOTE, text, strlen(text));
        free(text);
    }
}

void
fired_note_source(core *self, PyObject *filename)
{
    if (!is_first_note(self, filename)) {
        return;
    }
    char *path = file_policy_measured_source(self, filename);
    if (path != NULL) {
        note(FIRES, path);
    } else {
        PyObject *kept = compat_take_exception(); /* owned, or NULL */
        const char *name = PyUnicode_AsUTF8(filename);
        PyErr_Clear(); /* a note without the name */
        note(FIRES_UNSEEN, name != NULL ? name : "?");
        compat_restore_exception(kept);
    }
    free(path);
}

void
fired_note_caller(core *self, PyCodeObject *caller, bool is_measured)
{
    PyObject *filename = Py_NewRef(caller->co_filename); /* owned */
    if (is_first_note(self, filename)) {
        PyObject *kept = compat_take_exception(); /* owned, or NULL */
        const char *name = PyUnicode_AsUTF8(filename);
        PyErr_Clear();
        /* Only with plugins can a source that is not Python's be measured. */
        note(is_measured && plugins_have_file_tracers(self) ? FIRES "what is called in "
                                                            : FIRES_UNSEEN "what is called in ",
             name != NULL ? name : "?");
        compat_restore_exception(kept);
    }
    Py_DECREF(filename);
}

#if COMPAT_FIRED_EVENTS

bool
fired_frame_begins(PyFrameObject *frame, PyCodeObject *code)
{
    enum { RESUMABLE = CO_GENERATOR | CO_COROUTINE | CO_ASYNC_GENERATOR };
    int at = PyFrame_GetLasti(frame);
    const int first = 2 * code->_co_firsttraceable;
    if (at <= first || (uint8_t)code->co_code_adaptive[at] == INSTRUMENTED_RESUME) {
        return true;
    }
    if (PyEval_GetFrame() != frame) {
        return true; /* C code made the frame and calls trace functions itself (Cython) */
    }
    PyObject *bytes = PyCode_GetCode(code); /* owned; cached by the code object */
    if (bytes == NULL) {
        PyErr_Clear();
        return true;
    }
    bool begins = true;
    if (at < PyBytes_GET_SIZE(bytes)) {
        uint8_t op = (uint8_t)PyBytes_AS_STRING(bytes)[at];
        begins = op == RESUME;
        if ((code->co_flags & RESUMABLE) != 0) { /* throw() */
            begins = begins || op == YIELD_VALUE || op == RETURN_GENERATOR || op == POP_TOP;
        }
    }
    Py_DECREF(bytes);
    return begins;
}

void
fired_enter(frame_entry *entry)
{
    int at = PyFrame_GetLasti(entry->frame);
    entry->fired = entry->fired_at == at ? entry->fired + 1 : 1;
    entry->fired_at = at;
}

bool
fired_owns_event(frame_entry *entry, int what)
{
    if (entry->fired == 0) {
        return false;
    }
    if (PyFrame_GetLasti(entry->frame) != entry->fired_at) {
        entry->fired = 0; /* the C code fired no event of the function's end */
        return false;
    }
    if (what == PyTrace_RETURN) {
        entry->fired--;
    }
    return true;
}

#endif
