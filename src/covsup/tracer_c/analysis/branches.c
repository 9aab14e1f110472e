/* analysis/branches.c - what the events of one code object tell about branches.
 *
 * A branch event names two offsets; a report wants two lines. The destination is followed to
 * where its line begins, but only over instructions that cannot raise: past one that can, the
 * line may never be reached (`for a, b in [1]` enters its body in the event's eyes and raises).
 * There the arc is taken from the LINE event of the destination instead, where the instructions
 * that lead to it leave one way to get there.
 *
 * Threads: pure, but for the memory it allocates. Must never know: events, files, the journal. */
#include "analysis/analysis.h"

#include <stdlib.h>
#include <string.h>

#if COMPAT_MONITORING

static void
link_jumps(flow_analysis *a)
{
    memset(a->entered_head, 0xFF, (size_t)a->count * sizeof(int)); /* -1 */
    for (int m = 0; m < a->decoded.n_notable; m++) {
        int k = a->decoded.notable[m];
        int target = a->list[k].target;
        if (target >= 0) {
            a->entered_next[k] = a->entered_head[target];
            a->entered_head[target] = k;
        }
        if (flow_ends_except_star(a, k + 2)) {
            a->has_except_star = true;
        }
    }
}

/* LINE events that tell an arc by themselves. */
static void
find_targets(flow_analysis *a)
{
    for (int k = 0; k < a->count; k++) {
        const instruction *i = &a->list[k];
        if (!i->starts_line || i->line <= 0) {
            continue;
        }
        int bit = flow_slot(a, i->event_line);
        flow_set_bit(flow_has_bit(a->starts, bit) ? a->restarts : a->starts, bit);
        int from = flow_line_before(a, k);
        if (from > 0 && from != i->line && flow_is_marked(a, from)) {
            flow_add_target(a, k, from);
        }
    }
}

static bool
ends_async_for_await(const flow_analysis *a, int k)
{
    /* Its SEND follows a GET_ANEXT. */
    for (int s = a->entered_head[k]; s >= 0; s = a->entered_next[s]) {
        for (int g = s - 1; a->list[s].op == SEND && g >= 0 && g >= s - 3; g--) {
            if (a->list[g].op == GET_ANEXT) {
                return true;
            }
        }
    }
    return false;
}

static void
add_outcomes(flow_analysis *a, int offset, int next, int line, int falls_to, int jumps_to)
{
    if (falls_to != 0 || jumps_to != 0) {
        a->out.branches[a->out.n_branches++] = (flow_branch){.offset = offset,
                                                             .next = next,
                                                             .line = line,
                                                             .falls_to = falls_to,
                                                             .jumps_to = jumps_to,
                                                             .falls_in = FLOW_TOLD_NOWHERE,
                                                             .jumps_in = FLOW_TOLD_NOWHERE};
    }
}

static void
add_branch(flow_analysis *a, const instruction *i, int line, int falls_to, int jumps_to)
{
    add_outcomes(a, i->at * 2, i->next * 2, line, falls_to, jumps_to);
    /* Where a tool has INSTRUCTION events too, an outcome names the instruction before its
     * destination as its source: the NOT_TAKEN, and where a loop ends the POP_ITER (3.14, 3.15). */
    if (COMPAT_BRANCH_SIDES) {
        add_outcomes(a, i->next * 2, 0, line, falls_to, 0);
        if (i->op == FOR_ITER && i->target >= 0 && i->target + 1 < a->count) {
            add_outcomes(a, a->list[i->target + 1].at * 2, 0, line, 0, jumps_to);
        }
    }
}

/* The `async for` that the END_ASYNC_FOR at `k` may end leads to line `to` then. Any exception of
 * the iterator comes to that instruction, and its own event (from 3.14 on that of a branch, too) is
 * sent before it looks which; only what follows tells that the loop is over. (Where a `break` may
 * lead there, too, the loop is taken to end without an error; else a jump of its own follows.) */
static void
add_async_for_end(flow_analysis *a, int k, int line, int to)
{
    int after = k + 1;
    bool alone = after < a->count && a->entered_head[after] < 0 && !a->list[after].is_handler &&
                 !flow_is_lineless(a->list[after].op);
    flow_add_step(a, alone ? after : k, line, to);
}

static void
find_branches(flow_analysis *a)
{
    for (int m = 0; m < a->decoded.n_notable; m++) {
        int k = a->decoded.notable[m];
        const instruction *i = &a->list[k];
        if (i->kind != BRANCH && i->op != END_ASYNC_FOR && i->op != END_SEND) {
            continue;
        }
        int line = i->line > 0 ? i->line : flow_line_before(a, k);
        if (flow_ends_except_star(a, k)) {
            line = FLOW_LATER;
        } else if (line <= 0) {
            continue;
        }
        if (i->kind == BRANCH) {
            int falls_to = flow_follow(a, k + 1, line);
            int jumps_to = i->target >= 0 ? flow_follow(a, i->target, line) : 0;
            add_branch(a, i, line, falls_to, jumps_to);
        } else if (i->op == END_ASYNC_FOR) {
            int to = flow_follow(a, k + 1, line);
            if (to != 0) {
                add_async_for_end(a, k, line, to);
            }
        } else if (ends_async_for_await(a, k)) {
            /* An `async for` goes on. From 3.14 on that is a branch, whose event names the
             * instruction after the END_SEND. */
            int to = flow_follow(a, k + 1, line);
            if (COMPAT_BRANCH_SIDES) {
                add_outcomes(a, (i->at + 1) * 2, 0, line, to, 0);
            } else if (to != 0) {
                flow_add_step(a, k, line, to);
            }
        }
    }
}

/* A one-line definition: leaving its line is one outcome, and leaving its body, once it is called,
 * the other. Nothing branches here, so it is told by the line that follows, or where several lead
 * to that one, by the last instruction, which stores the name. (That a namespace refuses it is not
 * reckoned with.) The line of a decorator counts like that of its `def`. */
static void
find_definition_ends(flow_analysis *a)
{
    for (int m = 0; m < a->decoded.n_notable; m++) {
        int k = a->decoded.notable[m];
        if (!a->list[k].defines) {
            continue;
        }
        int last = k, line = a->list[k].line;
        int p = k + 1;
        for (int steps = 0; steps < a->count && p >= 0 && p < a->count; steps++) {
            const instruction *i = &a->list[p];
            if (i->line > 0 && i->line != line) {
                if (line > 0 && i->told == 0 && flow_is_marked(a, line)) {
                    if (i->starts_line && flow_first_entered_from(a, p, line)) {
                        flow_add_target(a, p, line);
                    } else {
                        flow_add_step(a, last, line, i->line);
                    }
                }
                line = i->line;
                if (!flow_is_marked(a, line)) {
                    break;
                }
            }
            if (i->kind == JUMPS) {
                p = i->target;
            } else if (i->defines && i->line == line) {
                break; /* the rest follows from that definition in the same way */
            } else if (i->kind == SAFE || i->kind == MAY_RAISE) {
                last = flow_is_lineless(i->op) || i->line != line ? last : p;
                p++;
            } else {
                if (flow_ends_except_star(a, p) && flow_is_marked(a, line)) {
                    flow_add_step(a, last, line, FLOW_LATER);
                }
                break; /* a branch, a return and a raise have events of their own */
            }
        }
    }
}

/* Without branches: the lines after a loop for which no LINE event is sent (from 3.14 on, where
 * the instructions that end the loop stand between two pieces of code of the same line). The
 * branch event of the loop's end tells them. */
static void
find_silent_lines(flow_analysis *a)
{
    for (int m = 0; m < a->decoded.n_notable; m++) {
        const instruction *i = &a->list[a->decoded.notable[m]];
        if (i->op == FOR_ITER && i->target >= 0 && i->line > 0) {
            int t = i->target;
            while (t < a->count && flow_is_lineless(a->list[t].op)) {
                t++;
            }
            if (t < a->count && !a->list[t].starts_line && a->list[t].line > 0 &&
                a->list[t].line != i->line) {
                add_branch(a, i, i->line, 0, a->list[t].line);
            }
        }
    }
}

/* Is the instruction at `k` a raise statement that may share its line with a branch, though the
 * branch leads to another line first (where the statement goes on)? Or one that is a whole body? */
static bool
raises_here(const flow_analysis *a, int k, bool one_liner)
{
    const instruction *i = &a->list[k];
    return i->op == RAISE_VARARGS &&
           (one_liner || (flow_is_marked(a, i->line) && !flow_asserts(a, k)));
}

/* Returns and raises on the line of the branch that leads to them. */
static void
find_ends(flow_analysis *a, bool one_liner)
{
    /* That of the type parameters has the line of what it defines, which has not been called. */
    const bool generic = flow_makes_generic(a->code);
    for (int m = 0; m < a->decoded.n_notable; m++) {
        int k = a->decoded.notable[m];
        const instruction *i = &a->list[k];
        if (i->line <= 0) {
            continue;
        }
        if (i->kind == RETURNS && !generic && a->exit != 0 &&
            (one_liner || i->ends_itself || flow_is_marked(a, i->line))) {
            a->out.returns[a->out.n_returns++] = (flow_step){i->at * 2, i->line, a->exit};
        } else if (i->kind == RAISES && (i->ends_itself || raises_here(a, k, one_liner))) {
            int to = flow_handler_line(a, i->handler);
            if (to != 0 && to != i->line) {
                flow_add_step(a, k, i->line, to);
            }
        }
    }
}

/* Is there anything but lines that begin one after the other? Most code objects have a branch. */
static bool
has_outcomes(const flow_analysis *a)
{
    for (int m = 0; m < a->decoded.n_notable; m++) {
        const instruction *i = &a->list[a->decoded.notable[m]];
        if (i->kind == BRANCH || i->op == GET_ANEXT || i->op == END_ASYNC_FOR ||
            i->op == END_SEND || i->op == MAKE_FUNCTION || i->op == NOP) {
            return true;
        }
    }
    return false;
}

static int
by_number(const void *one, const void *other)
{
    int a = *(const int *)one, b = *(const int *)other;
    return (a > b) - (a < b);
}

/* Give each line of the code a slot. Mostly that is its distance from the first one; where the
 * lines lie far apart, what is kept by line would grow with that distance. False: out of memory. */
static bool
number_lines(flow_analysis *a)
{
    enum { SPREAD = 16, FEW_LINES = 4096 };
    const long long range = (long long)a->last_line - a->first_line + 1;
    if (range <= (long long)SPREAD * a->count + FEW_LINES) {
        a->n_slots = (int)range;
        return true;
    }
    a->lines_there = malloc((size_t)a->count * sizeof(int));
    if (a->lines_there == NULL) {
        return false;
    }
    int n = 0;
    for (int k = 0; k < a->count; k++) {
        if (a->list[k].line > 0) {
            a->lines_there[n++] = a->list[k].line;
        }
    }
    qsort(a->lines_there, (size_t)n, sizeof(int), by_number);
    a->n_slots = 0;
    for (int m = 0; m < n; m++) {
        if (a->n_slots == 0 || a->lines_there[a->n_slots - 1] != a->lines_there[m]) {
            a->lines_there[a->n_slots++] = a->lines_there[m];
        }
    }
    return true;
}

/* Room for the analysis of what was decoded; false: none. */
static bool
make_room(flow_analysis *a)
{
    const size_t count = (size_t)a->count + 1, notable = (size_t)a->decoded.n_notable;
    const size_t line_bytes = (size_t)a->n_slots / 8 + 1;
    /* Three outcomes of a branch at most, and a step per instruction. */
    a->entered_head = malloc(5 * count * sizeof(int) + count * sizeof(flow_target) +
                             3 * notable * sizeof(flow_branch) + notable * sizeof(flow_step) +
                             count * sizeof(flow_step) + 3 * line_bytes + count);
    if (a->entered_head == NULL) {
        return false;
    }
    a->entered_next = a->entered_head + count;
    a->stack = a->entered_next + count;
    a->before = a->stack + count;
    a->followed = a->before + count;
    a->out.targets = (flow_target *)(a->followed + count);
    a->out.branches = (flow_branch *)(a->out.targets + count);
    a->out.returns = (flow_step *)(a->out.branches + 3 * notable);
    a->out.steps = a->out.returns + notable;
    a->lines = (uint8_t *)(a->out.steps + count);
    a->starts = a->lines + line_bytes;
    a->restarts = a->starts + line_bytes;
    a->visited = a->restarts + line_bytes;
    memset(a->lines, 0, 3 * line_bytes);
    memset(a->followed, 0, count * sizeof(int));
    for (size_t k = 0; k < count; k++) {
        a->before[k] = NOT_ASKED;
    }
    return true;
}

flow *
flow_new(PyCodeObject *code, bool branches)
{
    if (!branches && !COMPAT_BRANCH_SIDES) {
        return flow_nothing();
    }
    PyObject *bytes = PyCode_GetCode(code); /* owned; without specialisation or instrumentation */
    if (bytes == NULL) {
        return NULL;
    }
    const uint8_t *units = (const uint8_t *)PyBytes_AS_STRING(bytes);
    int n_units = (int)(PyBytes_GET_SIZE(bytes) / 2);
    const int first = code->co_firstlineno;
    flow_analysis a = {.code = code, .exit = first > 0 ? -first : 0};
    flow *result = NULL;
    if (!branches && !flow_has(units, n_units, FOR_ITER)) {
        result = flow_nothing();
        goto done;
    }
    if (!flow_decode(&a.decoded, code, units, n_units)) {
        PyErr_NoMemory();
        goto done;
    }
    a.list = a.decoded.list;
    a.count = a.decoded.count;
    a.first_line = a.decoded.first_line;
    a.last_line = a.decoded.last_line;
    bool one_liner = branches && flow_is_one_liner(code);
    if (!one_liner && !has_outcomes(&a)) {
        result = flow_nothing();
        goto done;
    }
    if (!number_lines(&a) || !make_room(&a)) {
        PyErr_NoMemory();
        goto done;
    }
    link_jumps(&a);
    if (branches) {
        if (!flow_mark_lines(&a)) {
            PyErr_NoMemory();
            goto done;
        }
        find_targets(&a);
        find_branches(&a);
        find_definition_ends(&a);
        find_ends(&a, one_liner);
    } else {
        find_silent_lines(&a);
    }
    result = a.failed ? NULL : flow_keep(&a);
    if (result == NULL) {
        PyErr_NoMemory();
    }

done:
    flow_decode_free(&a.decoded);
    flow_dominators_free(a.dominators);
    free(a.lines_there);
    free(a.entered_head);
    Py_DECREF(bytes);
    return result;
}

#endif
