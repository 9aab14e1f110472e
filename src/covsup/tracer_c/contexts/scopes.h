/* contexts/scopes.h - functions whose calls begin, hand on or take over a context.
 *
 * A test function and the application of a WSGI or ASGI server begin one. A pool's work belongs to
 * the context in which it was handed in: the functions that make a piece of work and that run it
 * are known by name, and are watched; nothing of the pools is patched.
 *
 * Threads: with an attached thread state, inside the events of a core.
 * Must never know: which core there is. */
#ifndef COVSUP_CONTEXTS_SCOPES_H
#define COVSUP_CONTEXTS_SCOPES_H

#include "contexts/contexts.h"

enum {
    ROLE_TEST = 1,              /* may be a test function */
    ROLE_REQUEST = 2,           /* may be an application */
    ROLE_SUBMITS = 4,           /* at its start a piece of work has been made */
    ROLE_SUBMITS_AT_END = 8,    /* at its return */
    ROLE_SUBMITS_IN_LINES = 16, /* at some line of it */
    ROLE_RUNS = 32,             /* it runs a piece of work */
    ROLE_RUNS_IN_LINES = 64,    /* it runs one after the other */
    ROLE_PLUGIN = 128,          /* a plugin is asked whether a context begins */
    /* Which events a role needs besides the start. */
    ROLES_OF_RETURN = ROLE_TEST | ROLE_REQUEST | ROLE_PLUGIN | ROLE_SUBMITS_AT_END | ROLE_RUNS,
    ROLES_OF_YIELD = ROLE_TEST | ROLE_REQUEST | ROLE_PLUGIN,
    ROLES_OF_LINE = ROLE_SUBMITS_IN_LINES | ROLE_RUNS_IN_LINES,
};

/* The roles (bits) that `code` has; `measured`: it is of a file that is. No exception. */
unsigned scope_roles(core *self, PyCodeObject *code, bool measured, const char **key_variable);

/* The frame of a code object with roles begins or goes on, is at a new line, stops for good (or
 * for a while). Without contexts they do nothing. No exception. */
void scope_enter(core *self, code_state *state, PyFrameObject *frame);
void scope_line(core *self, code_state *state, PyFrameObject *frame);
void scope_exit(core *self, code_state *state, PyFrameObject *frame);

/* New greenlets belong to the context that they are made in, from now on. No exception. */
void scope_follow_greenlets(void);

#endif
