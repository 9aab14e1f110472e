/* settrace/line_tables.h - tables by line of a code object, which show that a line is recorded.
 *
 * They are the settrace core's part of a code state.
 *
 * Threads: with the interpreter's GIL.
 * Must never know: frames, events, the journal. */
#ifndef COVSUP_SETTRACE_LINE_TABLES_H
#define COVSUP_SETTRACE_LINE_TABLES_H

#include "core/code_state.h"

#include <limits.h>

/* Fill in this part of the state of `code`. -1 with an exception set. */
int line_tables_prepare(core *owner, code_state *state, PyCodeObject *code);

/* The index of `line` in the tables; -1: it has none. */
static inline int
line_index(const code_state *state, int line)
{
    long long index = (long long)line - state->first_line;
    return index >= 0 && index <= INT_MAX ? (int)index : -1;
}

/* Make the tables cover `line`. False where they cannot: the line is then looked up in the tables
 * of its file each time, which is slower. */
bool line_tables_cover(core *owner, code_state *state, int line);

#endif
