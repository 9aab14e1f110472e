/* recorded/code_recorded.h - the lines of one code object that are recorded in its context.
 *
 * With contexts the events stay enabled (monitoring/dormancy.h), and most of them repeat a line
 * that is recorded. This is the quick way to know that, before the context's own table is searched.
 *
 * Threads: with the interpreter's GIL.
 * Must never know: the layout of the journal. */
#ifndef COVSUP_RECORDED_CODE_RECORDED_H
#define COVSUP_RECORDED_CODE_RECORDED_H

#include "core/code_state.h"

#if COMPAT_MONITORING

struct code_recorded {
    /* monitoring/dormancy.c: */
    uint32_t context_id; /* the context of the repeats, or in which the code object is dormant */
    uint32_t repeats;    /* consecutive events that repeated what is recorded */
    bool never_dormant;
    int body_line; /* the line with which each frame begins */
    /* A set of lines: */
    int first_line, n_words;
    _Atomic uint64_t words[]; /* per 32 lines: the id of a context, and the lines recorded in it */
};

/* Make `state->recorded`; out of memory it stays NULL, which only costs time. */
void code_recorded_make(core *self, code_state *state);

/* Is the line, with every arc that its event implies, recorded in this context? */
static inline bool
code_recorded_has_line(const code_state *state, uint32_t context_id, int line)
{
    const struct code_recorded *recorded = state->recorded;
    unsigned at = recorded != NULL ? (unsigned)(line - recorded->first_line) : 0;
    if (recorded == NULL || at / 32 >= (unsigned)recorded->n_words) {
        return false;
    }
    uint64_t word = atomic_load_explicit(&recorded->words[at / 32], memory_order_relaxed);
    return word >> 32 == context_id && (word >> at % 32 & 1) != 0;
}

/* Mark the line as recorded. A racing update may lose one bit; the line is then recorded twice,
 * which is harmless. */
static inline void
code_recorded_add_line(code_state *state, uint32_t context_id, int line)
{
    struct code_recorded *recorded = state->recorded;
    unsigned at = recorded != NULL ? (unsigned)(line - recorded->first_line) : 0;
    if (recorded == NULL || at / 32 >= (unsigned)recorded->n_words) {
        return;
    }
    uint64_t word = atomic_load_explicit(&recorded->words[at / 32], memory_order_relaxed);
    uint64_t lines = word >> 32 == context_id ? word & UINT32_MAX : 0;
    atomic_store_explicit(&recorded->words[at / 32],
                          (uint64_t)context_id << 32 | lines | UINT64_C(1) << at % 32,
                          memory_order_relaxed);
}

#endif

#endif
