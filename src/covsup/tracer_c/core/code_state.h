/* core/code_state.h - what the two cores share: the state of an interpreter and of a code object.
 *
 * Threads: a core belongs to one interpreter; its functions run with that interpreter's GIL. `lock`
 * guards the lists of code states, for these change where code objects die.
 * Must never know: adapters, the layout of the journal. */
#ifndef COVSUP_CORE_CODE_STATE_H
#define COVSUP_CORE_CODE_STATE_H

#include "cpython/compat.h" /* Python.h comes first: it chooses what the system headers offer */

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "recorded/recorded.h"
#include "files/filter.h"
#include "analysis/branches.h"

/* How many names of files that are not measured are found without a look at `files`. */
enum { EXCLUDED_CACHE_SIZE = 1024 };

typedef struct core core;
typedef struct code_state code_state;
typedef struct contexts contexts;
typedef struct claim claim; /* plugins/file_tracer.h */

/* How a file is measured; all NULL: it is not. */
typedef struct {
    source_file *file;
    claim *claim; /* a plugin's, which then tells the facts; `file` is NULL */
} file_disposition;

/* What is known of one measured code object; hangs off it as its "extra" and dies with it. */
struct code_state {
    code_state *previous, *next; /* in core->states */
    core *owner;
    PyCodeObject *code; /* borrowed: the code object owns this state */
    source_file *file;  /* NULL: it is not measured, but has roles; or a plugin claims it */
    claim *claim;       /* not NULL: a plugin tells its facts, and `file` is NULL */
    /* The monitoring core's. */
    branch_table *flow;                 /* NULL without branches */
    struct code_recorded *here; /* recorded/code_recorded.h; NULL until it runs with contexts */
    code_state *next_dormant;   /* in core->dormant */
    bool watched;               /* it has events of its own */
    bool events_disabled;       /* some of them are disabled, as told outside of contexts */
    bool start_disabled;        /* so is the event of its start, which is told too */
    bool dormant;               /* recorded/code_recorded.h */
    /* The settrace core's: per line, counted from first_line. */
    bool is_type_params_scope; /* it is that of type parameters */
    bool fully_recorded;       /* it has nothing left to tell (settrace/untraced_frames.h) */
    bool is_prepared;          /* this part is */
    int first_line, n_lines;
    int recheck_countdown,
        recheck_interval; /* looked at when so many known lines have run again; 0: never */
    struct reachable *reach;  /* owned; NULL until then */
    uint8_t *seen;        /* line mode: 1 once the line is told */
    int *last_origin;     /* branch mode: the line last told as control's origin; 0: none */
    PyObject *resumable;  /* owned: co_code of a generator or coroutine; NULL for others */
    /* What its calls do to contexts (contexts/scopes.h). */
    unsigned roles;
    unsigned non_request_calls;
    const char *key_variable;
    /* While it is taken off its code object: */
    void *hidden_extras;
    code_state *next_hidden; /* in core->taken */
};

/* The end of an arc that enters or leaves `code`; 0: it cannot be named. Code made by hand may have
 * any first line, and the negative of a negative one would be a line. */
static inline int
exit_of(const PyCodeObject *code)
{
    return code->co_firstlineno > 0 ? -code->co_firstlineno : 0;
}

static inline bool
is_measured(const code_state *state)
{
    return state->file != NULL || state->claim != NULL;
}

struct core {
    filter_rules rules;
    bool branch;
    PyObject *module; /* borrowed: `self` of the callbacks */
    /* Owned dict: co_filename -> PyLong of the source_file's address, or of the claim's plus 1, or
     * 0. */
    PyObject *files;
    PyObject *sources; /* likewise: `__file__` of what was sent by value -> its source_file, or 0 */
    struct plugins *plugins; /* plugins/file_tracer.h; NULL: there are none */
    /* Some names of files that are not measured, by address; kept for good, so no other name gets
     * that address. Not used with plugins, which may claim any file. One word each: any thread may
     * read and write them. */
    _Atomic(PyObject *) excluded_cache[EXCLUDED_CACHE_SIZE];
    Py_ssize_t extra_index;
    pthread_mutex_t lock;
    code_state *states;
    code_state *dormant;         /* those whose events are disabled as long as the context stays */
    _Atomic(code_state *) taken; /* those that are taken off their code objects */
    contexts *contexts;          /* NULL until contexts_start() */
    bool records_contexts;       /* facts may be of a context: nothing is told once and for all */
    /* sys.path as it was when `search_path` was last made from it. */
    PyObject *search_path_key; /* owned tuple, or NULL */
    string_list search_path;
    /* The monitoring core's. */
    int tool;                       /* tool id, or -1 */
    PyObject *monitoring, *disable; /* owned, like all that follow */
    bool others;                    /* the target uses tools of its own */
    bool target_has_instructions;   /* and one has had INSTRUCTION events */
    bool shares_instructions;       /* everywhere: so do we */
    bool awaits_resumed;            /* measurement began late: see monitoring_await_resumed() */
    /* Functions of sys.monitoring, as they were before the target's were wrapped. */
    PyObject *get_local_events, *set_local_events, *set_events, *register_callback, *use_tool_id,
        *free_tool_id, *restart_events;
    struct {
        int line, branch, py_return, jump, yield_and_resume, instruction;
    } events;
    /* The settrace core's. */
    Py_tracefunc settrace_event; /* NULL under the monitoring core */
    bool has_untraced_frames;    /* there may be frames that have no events
                                    (settrace/untraced_frames.h) */
    PyObject *fired; /* owned set of names, or NULL: what monitoring/fired_events.h has noted */
    /* The target's own tracers. */
    Py_tracefunc tracefunc;          /* what is installed where the target traces */
    PyTypeObject *thread_trace_type; /* owned */
};

/* The core of the running interpreter, or NULL where none was started. Never sets an exception. */
core *interpreter_core(void);

/* What `code`, run with `globals`, is measured as; false where it is not measured, or with an
 * exception set. */
bool core_file_disposition(core *self, PyCodeObject *code, PyObject *globals, file_disposition *as);

/* Whether the file of `code` is known not to be measured. False is no answer. */
bool core_is_excluded(const core *self, const PyCodeObject *code);

/* The canonical `path` as a measured file, `plugin` being the name of the one that tells its facts
 * (or ""); `*file` stays NULL where the rules leave it out. -1 with an exception set. */
int file_policy_apply(core *self, const char *path, PyObject *globals, const char *plugin,
                      source_file **file);

/* The source that code names `filename`, to be freed, where the rules let it in and it is there;
 * else NULL. Never sets an exception. */
char *file_policy_measured_source(core *self, PyObject *filename);

/* The state of `code`, or NULL. */
code_state *code_state_of(core *self, PyCodeObject *code);

/* A new state for `code`, attached to it; NULL with an exception set. */
code_state *code_state_add(core *self, PyCodeObject *code, file_disposition as);

/* Take the state of `code`, which the caller holds, off it, until it is shown or asked for. False:
 * it has none, or others have put something there, too. */
bool code_state_hide(core *self, PyCodeObject *code);
void code_state_show(core *self, PyCodeObject *code);

int core_prepare(core *self); /* the first use of a core in this interpreter; -1: exception */

/* Start measuring by sys.monitoring; -1 with an exception set. */
int monitoring_start(core *self);

/* Facts get contexts from now on: what was told outside of them is told again. -1: exception. */
int monitoring_restart_all(core *self);

/* The disabled events of a code object are sent again. -1: exception set. */
int monitoring_restart_code(core *self, code_state *state);

/* The context that is current changes, in a frame that runs: no code object's events sleep any
 * more. -1: exception set. */
int monitoring_wake_all(core *self);

/* Measure a code object, run with `globals`, that has frames already, and so does not announce
 * itself; -1: exception. */
int monitoring_measure_running(core *self, PyCodeObject *code, PyObject *globals);

/* Generators and coroutines that were suspended when measurement began announce their code when
 * they resume. -1: exception. */
int monitoring_await_resumed(core *self);

/* Move to another tool id, because the target asks for ours; where there is none, the
 * settrace core goes on. -1 with an exception set. */
int monitoring_change_tool(core *self);

/* From now on the target sees sys.monitoring as if we used none of its ids. -1: exception. */
int monitoring_hide_tool(core *self);

/* For trace functions of ours: what the target registers there is measured as it runs, and the list
 * of all events shows none that they need. `monitoring` of the core is set. -1: exception. */
int monitoring_measure_callbacks(core *self);

/* The target is about to ask for INSTRUCTION events everywhere: have them too. -1: exception. */
int monitoring_share_instructions(core *self);

/* Start measuring by trace functions, in the calling thread; -1 with an exception set. */
int settrace_start(core *self);

/* Trace all threads of this interpreter, those too that began before we did. What traces a thread
 * already is called from ours. -1 with an exception set. */
int settrace_trace_threads(core *self);

/* Have a code object send its events to trace functions where it has a suspended frame that no
 * thread state knows of; -1 with an exception set. */
int settrace_measure_suspended(core *self, PyCodeObject *code);

/* The line that a frame of this thread is in counts as told. */
void settrace_measure_frame(core *self, PyFrameObject *frame);

/* Go on by trace functions, in all threads, where the monitoring core cannot; -1 with an exception
 * set. */
int settrace_take_over(core *self);

/* Trace also the threads that C code creates, where the core needs that. 0; 1: somebody else
 * evaluates the frames of this interpreter, so such threads are not seen. */
int foreign_threads_watch(void);

/* To be called first in every new thread: -1 with an exception set. Nothing to do under
 * sys.monitoring, which sees all threads. */
int core_on_thread_start(void);

#endif
