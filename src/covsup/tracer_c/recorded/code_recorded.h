/* recorded/code_recorded.h - what a code object has told in the context that it runs in, under
 * sys.monitoring.
 *
 * With contexts a line's event cannot be disabled once the line is told: the next flow that comes
 * by may be another context's, and nobody says when flows switch. So the events stay on, and most
 * of them have nothing new to say; this is the short way to know that.
 *
 * A code object whose events have long had nothing to say sleeps: its events are disabled as they
 * come, all but those of its first line, until it is certain no more that all frames of it are of
 * that one context. That is certain while there is no other thread, no greenlet, no second frame of
 * it, and it is no generator: a frame that begins is seen by its first line, and a change of the
 * context in a frame that runs is made by contexts/contexts.c. (C code that enters a
 * contextvars.Context and returns into the frame that called it is not reckoned with.)
 *
 * Threads: with an attached thread state.
 * Must never know: the layout of the journal. */
#ifndef COVSUP_RECORDED_CODE_RECORDED_H
#define COVSUP_RECORDED_CODE_RECORDED_H

#include "contexts/contexts.h"

#if COMPAT_MONITORING

#include <stdatomic.h>

struct code_recorded {
    uint32_t in;      /* the context in which events were repeats, or in which it sleeps */
    uint32_t repeats; /* that had nothing new to say, one after the other */
    bool never_dormant;
    int body_line; /* the line with which each frame begins */
    int first_line, n_words;
    _Atomic uint64_t words[]; /* per 32 lines: the id of a context, and the lines told in it */
};

/* Make `state->here`; without memory it stays NULL, which only costs time. */
void code_recorded_make(core *self, code_state *state);

/* An event of `state` came in the context of this id and had nothing new to say. May put it to
 * sleep. No exception. */
void code_recorded_note_repeat(core *self, code_state *state, uint32_t id);

/* The events of `state` are needed again. -1: exception set. */
int monitoring_wake_code(core *self, code_state *state);

/* Was the line told, with all that its event tells, in the context of this id? */
static inline bool
code_recorded_has_line(const code_state *state, uint32_t id, int line)
{
    const struct code_recorded *here = state->here;
    unsigned at = here != NULL ? (unsigned)(line - here->first_line) : 0;
    if (here == NULL || at / 32 >= (unsigned)here->n_words) {
        return false;
    }
    uint64_t word = atomic_load_explicit(&here->words[at / 32], memory_order_relaxed);
    return word >> 32 == id && (word >> at % 32 & 1) != 0;
}

/* It was. Two threads that do this at once may forget one of the lines, which is told again. */
static inline void
code_recorded_add_line(code_state *state, uint32_t id, int line)
{
    struct code_recorded *here = state->here;
    unsigned at = here != NULL ? (unsigned)(line - here->first_line) : 0;
    if (here == NULL || at / 32 >= (unsigned)here->n_words) {
        return;
    }
    uint64_t word = atomic_load_explicit(&here->words[at / 32], memory_order_relaxed);
    uint64_t lines = word >> 32 == id ? word & UINT32_MAX : 0;
    atomic_store_explicit(&here->words[at / 32],
                          (uint64_t)id << 32 | lines | UINT64_C(1) << at % 32,
                          memory_order_relaxed);
}

#endif

#endif
