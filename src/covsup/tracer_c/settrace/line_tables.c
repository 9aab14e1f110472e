/* settrace/line_tables.c - the settrace core's part of a code state.
 *
 * Threads, Must never know: see settrace/line_tables.h. */
#include "settrace/line_tables.h"

#include <stdlib.h>
#include <string.h>

#include "analysis/bytecode.h"

/* After so many repeated lines the analysis of what is left to record pays off. */
enum { FIRST_RECHECK_INTERVAL = 256 };

int
line_tables_prepare(core *owner, code_state *state, PyCodeObject *code)
{
    const int resumable = CO_GENERATOR | CO_COROUTINE | CO_ASYNC_GENERATOR;
    if ((owner->branch || owner->stop_untraced != NULL) && (code->co_flags & resumable) != 0) {
        state->resumable = PyCode_GetCode(code);
        if (state->resumable == NULL) {
            return -1;
        }
    }
    state->first_line = code->co_firstlineno;
    state->is_prepared = true;
#if COMPAT_MONITORING
    state->is_type_params_scope = code_is_type_params_scope(code);
#endif
    if (owner->stop_untraced != NULL) {
        state->recheck_countdown = state->recheck_interval = FIRST_RECHECK_INTERVAL;
    }
    return 0;
}

/* How many lines the tables of `code` cover at first. The last instruction of most functions is on
 * their last line. */
static int
first_size(PyCodeObject *code)
{
    enum { FIRST_LINES = 16, MAX_AT_ONCE = 256 };
    int last = 2 * ((int)Py_SIZE(code) - 1);
    long long lines = (long long)PyCode_Addr2Line(code, last) - code->co_firstlineno + 1;
    return lines > 0 && lines <= MAX_AT_ONCE ? (int)lines : FIRST_LINES;
}

bool
line_tables_cover(core *owner, code_state *state, int line)
{
    /* The tables grow with the code, not with its line numbers. */
    enum { MAX_LINES = 1 << 20, MIN_LINES = 256, LINES_PER_UNIT = 64 };
    const long long room = MIN_LINES + LINES_PER_UNIT * (long long)Py_SIZE(state->code);
    int index = line_index(state, line);
    if (index < 0 || index >= MAX_LINES || index >= room) {
        return false;
    }
    if (index < state->n_lines) {
        return true;
    }
    int lines = state->n_lines == 0 ? first_size(state->code) : state->n_lines;
    while (lines <= index) {
        lines *= 2;
    }
    size_t size = owner->branch ? sizeof(int) : 1;
    void *old = owner->branch ? (void *)state->last_origin : (void *)state->seen;
    char *table = realloc(old, (size_t)lines * size);
    if (table == NULL) {
        return false;
    }
    memset(table + (size_t)state->n_lines * size, 0, (size_t)(lines - state->n_lines) * size);
    if (owner->branch) {
        state->last_origin = (int *)table;
    } else {
        state->seen = (uint8_t *)table;
    }
    state->n_lines = lines;
    return true;
}
