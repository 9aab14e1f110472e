/* recorded/code_recorded.c - the lines of one code object that are recorded in its context.
 *
 * Threads, Must never know: see recorded/code_recorded.h. */
#include "recorded/code_recorded.h"

#if COMPAT_MONITORING

#include <stdlib.h>

#include "analysis/bytecode.h"

void
code_recorded_make(core *self, code_state *state)
{
    enum { MAX_LINES = 1 << 16 };
    int first = 0, last = 0;
    code_line_range(state->code, &first, &last);
    if (first <= 0 || last - first >= MAX_LINES) {
        return;
    }
    int words = (last - first) / 32 + 1;
    struct code_recorded *made = calloc(1, sizeof(*made) + (size_t)words * sizeof(made->words[0]));
    if (made == NULL) {
        return;
    }
    const int resumable = CO_GENERATOR | CO_COROUTINE | CO_ASYNC_GENERATOR;
    made->first_line = first;
    made->n_words = words;
    made->body_line = code_first_line(state->code);
    made->never_dormant = state->file == NULL || state->roles != 0 ||
                          (state->code->co_flags & resumable) != 0 || made->body_line == 0 ||
                          code_resume_line(state->code) != 0;
    pthread_mutex_lock(&self->lock);
    if (state->recorded == NULL) {
        state->recorded = made;
        made = NULL;
    }
    pthread_mutex_unlock(&self->lock);
    free(made);
}

#endif
