/* core/code_state.h - what is known of one code object; attached to it and freed with it.
 *
 * Threads: with the GIL of the interpreter that owns the core; `lock` of the core guards the lists.
 * Must never know: adapters, the layout of the journal. */
#ifndef COVSUP_CORE_CODE_STATE_H
#define COVSUP_CORE_CODE_STATE_H

#include "core/core.h"

struct code_state {
    code_state *previous, *next; /* in core->states */
    core *owner;
    PyCodeObject *code; /* borrowed: the code object owns this state */
    source_file *file;  /* NULL: the file is not measured (but the code has roles), or is claimed */
    claim *claim;       /* not NULL: a plugin says what its lines stand for, and `file` is NULL */
    /* The monitoring core's. */
    struct branch_table *branches;  /* analysis/branch_table.h; NULL until events are set */
    struct code_recorded *recorded; /* recorded/code_recorded.h; NULL until it runs with contexts */
    code_state *next_dormant;       /* in core->dormant */
    bool has_local_events;          /* its events are set */
    bool events_disabled;           /* some were disabled, outside of contexts */
    bool start_disabled;            /* its PY_START event was disabled, outside of contexts */
    bool dormant;                   /* recorded/code_recorded.h */
    /* The settrace core's; tables are by line, counted from first_line. */
    bool is_type_params_scope; /* code_is_type_params_scope() */
    bool fully_recorded;       /* every reachable line and arc is in the journal */
    bool is_prepared;          /* this part is filled in */
    int first_line, n_lines;
    int recheck_countdown; /* known lines that may run again before the next reachability check; 0:
                            * no check */
    int recheck_interval;
    struct reachable *reachable; /* owned; NULL: not analysed */
    uint8_t *seen;               /* line mode: 1 once the line is recorded */
    int *
        last_origin; /* branch mode: the line from which control came when last recorded; 0: none */
    PyObject *resumable; /* owned: co_code of a generator or coroutine; NULL for others */
    /* What its calls do to contexts (contexts/scopes.h). */
    unsigned roles;
    unsigned non_request_calls;
    const char *key_variable;
    /* While it is hidden: */
    void *hidden_extras;     /* what was in the code object's co_extra */
    code_state *next_hidden; /* in core->hidden */
};

/* The end of an arc that enters or leaves `code`; 0: there is none. Hand-made code may have any
 * first line, and the negative of a negative one would be a line. */
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

/* Reserve the place for states in code objects. -1 with an exception set. */
int code_state_reserve(core *self);

/* The state of `code`, or NULL. */
code_state *code_state_of(core *self, PyCodeObject *code);

/* A new state for `code`, attached to it, or the one that another thread attached meanwhile. NULL
 * with an exception set. */
code_state *code_state_add(core *self, PyCodeObject *code, file_disposition disposition);

/* Take the state off `code`, a reference to which the caller holds, until code_state_show() or
 * code_state_of() puts it back. False: it has no state, or data of others as well. */
bool code_state_hide(core *self, PyCodeObject *code);
void code_state_show(core *self, PyCodeObject *code);

#endif
