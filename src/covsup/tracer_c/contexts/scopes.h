/* contexts/scopes.h - functions during whose calls another context is current.
 *
 * A call of a test function, or of the application of a WSGI or ASGI server, is a context of its
 * own. A pool runs a work item in the context that submitted it. The pools' functions that make an
 * item and that run it are known by name, and the events of their code are watched; nothing is
 * patched.
 *
 * Threads: with an attached thread state, inside the events of a core.
 * Must never know: which core there is. */
#ifndef COVSUP_CONTEXTS_SCOPES_H
#define COVSUP_CONTEXTS_SCOPES_H

#include "contexts/contexts.h"

enum {
    ROLE_TEST = 1,              /* may be a test function */
    ROLE_REQUEST = 2,           /* may be a WSGI or ASGI application */
    ROLE_SUBMITS = 4,           /* at its start there is a new work item */
    ROLE_SUBMITS_AT_END = 8,    /* at its return */
    ROLE_SUBMITS_IN_LINES = 16, /* at one of its lines */
    ROLE_RUNS = 32,             /* it runs a work item */
    ROLE_RUNS_IN_LINES = 64,    /* it runs work items in a loop */
    ROLE_PLUGIN = 128,          /* a plugin may give a label for its call */
    /* The events that roles need besides the start. */
    ROLES_OF_RETURN = ROLE_TEST | ROLE_REQUEST | ROLE_PLUGIN | ROLE_SUBMITS_AT_END | ROLE_RUNS,
    ROLES_OF_YIELD = ROLE_TEST | ROLE_REQUEST | ROLE_PLUGIN,
    ROLES_OF_LINE = ROLE_SUBMITS_IN_LINES | ROLE_RUNS_IN_LINES,
};

/* The roles (bits) of `code`. `measured`: its file is measured. *key_variable becomes the name of
 * the variable that holds the work item, if a role needs one. No exception. */
unsigned scope_roles(core *self, PyCodeObject *code, bool measured, const char **key_variable);

/* A frame of code with roles starts or resumes; is at a new line; returns or yields. They do
 * nothing where no contexts are recorded. No exception. */
void scope_enter(core *self, code_state *state, PyFrameObject *frame);
void scope_line(core *self, code_state *state, PyFrameObject *frame);
void scope_exit(core *self, code_state *state, PyFrameObject *frame);

/* From now on a new greenlet starts in the context of the code that makes it. No exception. */
void scope_follow_greenlets(void);

#endif
