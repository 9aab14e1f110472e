/* plugins/file_tracer.h - code of files that a coverage.py plugin claims (its FileTracer).
 *
 * The lines of a claimed file are not recorded. At each of them the plugin says which lines of
 * which source they stand for. For a file that no plugin claims, the plugins are asked once.
 *
 * Threads: with the interpreter's GIL. The table of frames is under the core's lock, which is never
 * held while a plugin is called.
 * Must never know: adapters, the layout of the journal, which core sends the events. */
#ifndef COVSUP_PLUGINS_FILE_TRACER_H
#define COVSUP_PLUGINS_FILE_TRACER_H

#include "core/code_state.h"

#include "settrace/frame_table.h"

/* A plugin's answer for one file name. Never freed: code states point to it. */
struct claim {
    PyObject *tracer;   /* owned: the plugin's FileTracer */
    PyObject *filename; /* owned: the canonical name that was claimed */
    char *plugin;       /* the plugin's name, as the data file has it */
    source_file *file;  /* the source; NULL: each frame has its own */
    PyObject *names;    /* owned dict, then: name -> PyLong of the source_file's address, or 0 */
    bool disabled;      /* the plugin has failed for it */
};

struct plugins {
    PyObject *load;     /* owned callable that loads them; NULL once it was called */
    PyObject *claim;    /* owned callable: (canonical file name) -> None or (tracer, name, source);
                         * NULL: no plugin claims files */
    PyObject *resolve;  /* owned callable: (source name of a frame) -> absolute path */
    PyObject *failed;   /* owned callable: (tracer, what, exception) */
    PyObject *context;  /* owned callable: (frame) -> label or None; NULL: no plugin has contexts */
    frame_table frames; /* of claimed code; under the core's lock */
};

/* Call `load` before the first file of the program runs. It returns None or (claim, resolve,
 * failed, context), as above. -1 with an exception set. */
int plugins_set_loader(core *self, PyObject *load);

/* Load the plugins, if code of the file `name` is the first of the program. -1 with an exception
 * set. */
int plugins_load_if_due(core *self, const char *name);

/* Does a plugin claim files? */
static inline bool
plugins_have_file_tracers(const core *self)
{
    return self->plugins != NULL && self->plugins->claim != NULL;
}

/* Does a plugin give labels for contexts? */
static inline bool
plugins_have_contexts(const core *self)
{
    return self->plugins != NULL && self->plugins->context != NULL;
}

/* The label of the context that starts with `frame`. New reference, or NULL without an exception:
 * none starts. */
PyObject *plugins_context(core *self, PyFrameObject *frame);

/* Ask the plugins whether one claims the file with the canonical path `name`, whose code runs with
 * `globals`. `*found` stays NULL if none does. `*measured`: the source is to be measured. -1 with
 * an exception set. */
int plugins_claim(core *self, const char *name, PyObject *globals, claim **found, bool *measured);

/* The events of a frame of claimed code. -1 with an exception set, which is the program's own. */
int plugin_frame_start(core *self, const code_state *state, PyFrameObject *frame, bool resumed);
int plugin_frame_line(core *self, const code_state *state, PyFrameObject *frame);
void plugin_frame_return(core *self, const code_state *state, PyFrameObject *frame, bool raises);

#endif
