/* core/core.h - the state of one interpreter's measurement, shared by the two cores.
 *
 * A core is where execution events come from: sys.monitoring (monitoring/) or trace functions
 * (settrace/). One struct holds the fields of both, because the monitoring core can hand over to
 * the settrace core while the program runs.
 *
 * Threads: a core belongs to one interpreter and is used with that interpreter's GIL, but for what
 * `lock` protects and for the atomic fields.
 * Must never know: adapters, the layout of the journal. */
#ifndef COVSUP_CORE_CORE_H
#define COVSUP_CORE_CORE_H

#include "cpython/compat.h" /* Python.h comes first: it chooses what the system headers offer */

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "files/filter_rules.h"
#include "recorded/recorded.h"

/* How many names of excluded files are found without a look-up in `files`. */
enum { EXCLUDED_CACHE_SIZE = 1024 };

typedef struct core core;
typedef struct code_state code_state; /* core/code_state.h */
typedef struct contexts contexts;     /* contexts/state.h */
typedef struct claim claim;           /* plugins/file_tracer.h */
struct monitoring_callback;           /* monitoring/tool.h */
struct thread_trace;                  /* settrace/thread_trace.h */

/* How the code of a file is measured (coverage.py calls that the file's disposition); both NULL: it
 * is not. */
typedef struct {
    source_file *file;
    claim *claim; /* of a plugin, which says what its lines stand for; `file` is NULL */
} file_disposition;

struct core {
    /* Which files are measured (files/). */
    filter_rules rules;
    bool branch; /* arcs are recorded, not lines */
    /* Owned dict: co_filename -> PyLong: the address of its source_file, that of its claim plus 1,
     * or 0 for an excluded file. */
    PyObject *files;
    PyObject *sources; /* owned dict: `__file__` of code sent by value -> its source_file, or 0 */
    struct plugins *plugins; /* plugins/file_tracer.h; NULL: there are none */
    /* Some names of excluded files, by address. A reference to each is kept for good, so no other
     * name gets its address. Not used with plugins, which may claim any file. Atomic: any thread
     * reads and writes the slots. */
    _Atomic(PyObject *) excluded_cache[EXCLUDED_CACHE_SIZE];
    PyObject *search_path_key; /* owned tuple: sys.path when `search_path` was made; or NULL */
    string_list search_path;

    /* Code objects (core/code_state.h). */
    Py_ssize_t extra_index;
    pthread_mutex_t lock; /* protects these lists, which change wherever a code object dies */
    code_state *states;
    code_state *dormant; /* those whose events stay disabled as long as the context stays */
    _Atomic(code_state *) hidden; /* those taken off their code objects for a moment */

    /* Contexts (contexts/). */
    contexts *contexts;    /* NULL until contexts_start() */
    bool records_contexts; /* a line is recorded once for each context, not once for all */

    /* What the started core has to do when something changes elsewhere; NULL: nothing. Contexts and
     * target tracers call these, so that they need not know the cores. */
    int (*on_contexts_enabled)(core *); /* records_contexts was set; -1: exception set */
    int (*on_context_change)(core *);   /* called before that in a running frame; likewise */
    void (*stop_untraced)(core *); /* every frame must have events (settrace/untraced_frames.h) */

    /* The monitoring core's. */
    PyObject *module; /* borrowed: `self` of the callbacks */
    struct monitoring_callback *callbacks;
    int n_callbacks;
    int tool;                     /* tool id, or -1 */
    PyObject *monitoring;         /* owned: sys.monitoring, also under the settrace core */
    PyObject *disable;            /* owned: sys.monitoring.DISABLE */
    bool target_uses_tools;       /* the target has called functions that take a tool id */
    bool target_has_instructions; /* and has asked for INSTRUCTION events */
    bool shares_instructions;     /* it has them everywhere, so we have them too */
    bool awaits_resumed;          /* measurement began late: monitoring_await_resumed() */
    /* Owned: functions of sys.monitoring that no patch replaces. */
    PyObject *get_local_events, *set_local_events, *set_events, *register_callback, *use_tool_id,
        *free_tool_id, *restart_events;
    struct {
        int line, branch, py_return, jump, yield_and_resume, instruction;
    } events;                 /* their numbers */
    int (*take_over)(core *); /* go on by trace functions where no tool id is left; -1: exception */

    /* The settrace core's. */
    Py_tracefunc settrace_event;                     /* NULL under the monitoring core */
    void (*record_positions)(struct thread_trace *); /* frames of the thread ran unseen */
    bool has_untraced_frames;                        /* there may be frames without events */
    bool traces_foreign_threads;                     /* foreign_threads_watch() was called */
    PyObject *fired; /* owned set of names, or NULL: already noted by fired_events.c */

    /* The target's own tracers (settrace/target_tracer.h). */
    Py_tracefunc tracefunc;          /* what is installed where the target traces */
    PyTypeObject *thread_trace_type; /* owned */
};

/* A tracer of the target's or a context needs events of every frame from now on, for good. */
static inline void
core_require_all_frames(core *self)
{
    if (self->stop_untraced != NULL) {
        self->stop_untraced(self);
    }
}

#endif
