/* plugins/file_tracer.h - code that a file tracer plugin of coverage.py's claims.
 *
 * A claimed file's own lines say nothing: at every line the plugin is asked which lines of which
 * source that stands for. Files that no plugin claims never come here again after one question.
 *
 * Threads: with the interpreter's GIL; what a core knows of frames is under its
 * lock, which is never held while a plugin is asked.
 * Must never know: adapters, the layout of the journal, which core sends the events. */
#ifndef COVSUP_PLUGINS_FILE_TRACER_H
#define COVSUP_PLUGINS_FILE_TRACER_H

#include "core/code_state.h"

#include "settrace/frame_table.h"

/* What a plugin said of one file name. Never freed: code states point to it. */
struct claim {
    PyObject *tracer;   /* owned: the plugin's FileTracer */
    PyObject *filename; /* owned: the canonical name that was claimed */
    char *plugin;       /* the plugin's name, as the data file has it */
    source_file *file;  /* where its facts go; NULL: every frame has a name of its own */
    PyObject *names;    /* owned dict, then: name -> PyLong of the source_file's address, or 0 */
    bool off;           /* the plugin failed at it */
};

struct plugins {
    PyObject *load;     /* owned callable that loads them; NULL once it was called */
    PyObject *claim;    /* owned callable: (canonical file name) -> None or (tracer, name, source);
                         * NULL: none claims files */
    PyObject *resolve;  /* owned callable: (source name of a frame) -> absolute path */
    PyObject *failed;   /* owned callable: (tracer, what, exception) */
    PyObject *context;  /* owned callable: (frame) -> label or None; NULL: none gives contexts */
    frame_table frames; /* of claimed code; under the core's lock */
};

/* Have `load` called before the first file of the program runs; -1 with an exception set. It
 * returns None or (claim, resolve, failed, context), as above. */
int plugins_set_loader(core *self, PyObject *load);

/* Load them, if that is due now that code of `name` runs. -1 with an exception set. */
int plugins_load_if_due(core *self, const char *name);

/* Do plugins have a say in which files are measured? */
static inline bool
plugins_have_file_tracers(const core *self)
{
    return self->plugins != NULL && self->plugins->claim != NULL;
}

/* Does a plugin say which contexts begin? */
static inline bool
plugins_have_contexts(const core *self)
{
    return self->plugins != NULL && self->plugins->context != NULL;
}

/* The label of the context that begins with `frame`; new reference, or NULL without an exception
 * where none does. */
PyObject *plugins_context(core *self, PyFrameObject *frame);

/* Ask whose the canonical path `name` is, run with `globals`; `*found` stays NULL where no plugin
 * claims it. `*measured` says whether the rules let its source in. -1 with an exception set. */
int plugins_claim(core *self, const char *name, PyObject *globals, claim **found, bool *measured);

/* Of frames of claimed code; each -1 with an exception set, which is the program's own. */
int plugin_frame_start(core *self, const code_state *state, PyFrameObject *frame, bool resumed);
int plugin_frame_line(core *self, const code_state *state, PyFrameObject *frame);
void plugin_frame_return(core *self, const code_state *state, PyFrameObject *frame, bool raises);

#endif
