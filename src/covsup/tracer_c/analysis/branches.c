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
link_jumps(code_analysis *a)
{
    memset(a->first_jump_to, 0xFF, (size_t)a->count * sizeof(int)); /* -1 */
    for (int m = 0; m < a->decoded.n_notable; m++) {
        int k = a->decoded.notable[m];
        int target = a->list[k].target;
        if (target >= 0) {
            a->next_jump_to[k] = a->first_jump_to[target];
            a->first_jump_to[target] = k;
        }
        if (ends_except_star(a, k + 2)) {
            a->has_except_star = true;
        }
    }
}

/* LINE events that tell an arc by themselves. */
static void
find_targets(code_analysis *a)
{
    for (int k = 0; k < a->count; k++) {
        const instruction *i = &a->list[k];
        if (!i->starts_line || i->line <= 0) {
            continue;
        }
        int bit = line_slot(a, i->event_line);
        set_bit(has_bit(a->starts, bit) ? a->restarts : a->starts, bit);
        int from = control_flow_line_before(a, k);
        if (from > 0 && from != i->line && is_marked_line(a, from)) {
            add_line_arc(a, k, from);
        }
    }
}

static bool
ends_async_for_await(const code_analysis *a, int k)
{
    /* Its SEND follows a GET_ANEXT. */
    for (int s = a->first_jump_to[k]; s >= 0; s = a->next_jump_to[s]) {
        for (int g = s - 1; a->list[s].op == SEND && g >= 0 && g >= s - 3; g--) {
            if (a->list[g].op == GET_ANEXT) {
                return true;
            }
        }
    }
    return false;
}

static void
add_outcomes(code_analysis *a, int offset, int next, int line, int falls_to, int jumps_to)
{
    if (falls_to != 0 || jumps_to != 0) {
        a->out.branches[a->out.n_branches++] = (branch_outcomes){.offset = offset,
                                                                 .next = next,
                                                                 .line = line,
                                                                 .falls_to = falls_to,
                                                                 .jumps_to = jumps_to,
                                                                 .falls_context = NO_CONTEXT_ID,
                                                                 .jumps_context = NO_CONTEXT_ID};
    }
}

static void
add_branch(code_analysis *a, const instruction *i, int line, int falls_to, int jumps_to)
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
add_async_for_end(code_analysis *a, int k, int line, int to)
{
    int after = k + 1;
    bool alone = after < a->count && a->first_jump_to[after] < 0 && !a->list[after].is_handler &&
                 !bytecode_is_lineless(a->list[after].op);
    add_instruction_arc(a, alone ? after : k, line, to);
}

static void
find_branches(code_analysis *a)
{
    for (int m = 0; m < a->decoded.n_notable; m++) {
        int k = a->decoded.notable[m];
        const instruction *i = &a->list[k];
        if (i->kind != BRANCH && i->op != END_ASYNC_FOR && i->op != END_SEND) {
            continue;
        }
        int line = i->line > 0 ? i->line : control_flow_line_before(a, k);
        if (ends_except_star(a, k)) {
            line = ARC_PENDING;
        } else if (line <= 0) {
            continue;
        }
        if (i->kind == BRANCH) {
            int falls_to = control_flow_follow(a, k + 1, line);
            int jumps_to = i->target >= 0 ? control_flow_follow(a, i->target, line) : 0;
            add_branch(a, i, line, falls_to, jumps_to);
        } else if (i->op == END_ASYNC_FOR) {
            int to = control_flow_follow(a, k + 1, line);
            if (to != 0) {
                add_async_for_end(a, k, line, to);
            }
        } else if (ends_async_for_await(a, k)) {
            /* An `async for` goes on. From 3.14 on that is a branch, whose event names the
             * instruction after the END_SEND. */
            int to = control_flow_follow(a, k + 1, line);
            if (COMPAT_BRANCH_SIDES) {
                add_outcomes(a, (i->at + 1) * 2, 0, line, to, 0);
            } else if (to != 0) {
                add_instruction_arc(a, k, line, to);
            }
        }
    }
}

/* A one-line definition: leaving its line is one outcome, and leaving its body, once it is called,
 * the other. Nothing branches here, so it is told by the line that follows, or where several lead
 * to that one, by the last instruction, which stores the name. (That a namespace refuses it is not
 * reckoned with.) The line of a decorator counts like that of its `def`. */
static void
find_definition_ends(code_analysis *a)
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
                if (line > 0 && i->told == 0 && is_marked_line(a, line)) {
                    if (i->starts_line && control_flow_first_entered_from(a, p, line)) {
                        add_line_arc(a, p, line);
                    } else {
                        add_instruction_arc(a, last, line, i->line);
                    }
                }
                line = i->line;
                if (!is_marked_line(a, line)) {
                    break;
                }
            }
            if (i->kind == JUMPS) {
                p = i->target;
            } else if (i->defines && i->line == line) {
                break; /* the rest follows from that definition in the same way */
            } else if (i->kind == SAFE || i->kind == MAY_RAISE) {
                last = bytecode_is_lineless(i->op) || i->line != line ? last : p;
                p++;
            } else {
                if (ends_except_star(a, p) && is_marked_line(a, line)) {
                    add_instruction_arc(a, last, line, ARC_PENDING);
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
find_lines_without_events(code_analysis *a)
{
    for (int m = 0; m < a->decoded.n_notable; m++) {
        const instruction *i = &a->list[a->decoded.notable[m]];
        if (i->op == FOR_ITER && i->target >= 0 && i->line > 0) {
            int t = i->target;
            while (t < a->count && bytecode_is_lineless(a->list[t].op)) {
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
is_own_raise(const code_analysis *a, int k, bool one_liner)
{
    const instruction *i = &a->list[k];
    return i->op == RAISE_VARARGS &&
           (one_liner || (is_marked_line(a, i->line) && !is_assertion_raise(a, k)));
}

/* Returns and raises on the line of the branch that leads to them. */
static void
find_ends(code_analysis *a, bool one_liner)
{
    /* That of the type parameters has the line of what it defines, which has not been called. */
    const bool generic = code_is_type_params_scope(a->code);
    for (int m = 0; m < a->decoded.n_notable; m++) {
        int k = a->decoded.notable[m];
        const instruction *i = &a->list[k];
        if (i->line <= 0) {
            continue;
        }
        if (i->kind == RETURNS && !generic && a->exit != 0 &&
            (one_liner || i->records_own_exit || is_marked_line(a, i->line))) {
            a->out.returns[a->out.n_return_arcs++] = (instruction_arc){i->at * 2, i->line, a->exit};
        } else if (i->kind == RAISES && (i->records_own_exit || is_own_raise(a, k, one_liner))) {
            int to = control_flow_handler_line(a, i->handler);
            if (to != 0 && to != i->line) {
                add_instruction_arc(a, k, i->line, to);
            }
        }
    }
}

/* Is there anything but lines that begin one after the other? Most code objects have a branch. */
static bool
has_outcomes(const code_analysis *a)
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
number_lines(code_analysis *a)
{
    enum { SPREAD = 16, FEW_LINES = 4096 };
    const long long range = (long long)a->last_line - a->first_line + 1;
    if (range <= (long long)SPREAD * a->count + FEW_LINES) {
        a->n_slots = (int)range;
        return true;
    }
    a->distinct_lines = malloc((size_t)a->count * sizeof(int));
    if (a->distinct_lines == NULL) {
        return false;
    }
    int n = 0;
    for (int k = 0; k < a->count; k++) {
        if (a->list[k].line > 0) {
            a->distinct_lines[n++] = a->list[k].line;
        }
    }
    qsort(a->distinct_lines, (size_t)n, sizeof(int), by_number);
    a->n_slots = 0;
    for (int m = 0; m < n; m++) {
        if (a->n_slots == 0 || a->distinct_lines[a->n_slots - 1] != a->distinct_lines[m]) {
            a->distinct_lines[a->n_slots++] = a->distinct_lines[m];
        }
    }
    return true;
}

/* Room for the analysis of what was decoded; false: none. */
static bool
make_room(code_analysis *a)
{
    const size_t count = (size_t)a->count + 1, notable = (size_t)a->decoded.n_notable;
    const size_t line_bytes = (size_t)a->n_slots / 8 + 1;
    /* Three outcomes of a branch at most, and a step per instruction. */
    a->first_jump_to =
        malloc(5 * count * sizeof(int) + count * sizeof(line_arc) +
               3 * notable * sizeof(branch_outcomes) + notable * sizeof(instruction_arc) +
               count * sizeof(instruction_arc) + 3 * line_bytes + count);
    if (a->first_jump_to == NULL) {
        return false;
    }
    a->next_jump_to = a->first_jump_to + count;
    a->stack = a->next_jump_to + count;
    a->before = a->stack + count;
    a->followed = a->before + count;
    a->out.targets = (line_arc *)(a->followed + count);
    a->out.branches = (branch_outcomes *)(a->out.targets + count);
    a->out.returns = (instruction_arc *)(a->out.branches + 3 * notable);
    a->out.steps = a->out.returns + notable;
    a->lines = (uint8_t *)(a->out.steps + count);
    a->starts = a->lines + line_bytes;
    a->restarts = a->starts + line_bytes;
    a->visited = a->restarts + line_bytes;
    memset(a->lines, 0, 3 * line_bytes);
    memset(a->followed, 0, count * sizeof(int));
    for (size_t k = 0; k < count; k++) {
        a->before[k] = NOT_COMPUTED;
    }
    return true;
}

flow *
branch_table_new(PyCodeObject *code, bool branches)
{
    if (!branches && !COMPAT_BRANCH_SIDES) {
        return branch_table_empty();
    }
    PyObject *bytes = PyCode_GetCode(code); /* owned; without specialisation or instrumentation */
    if (bytes == NULL) {
        return NULL;
    }
    const uint8_t *units = (const uint8_t *)PyBytes_AS_STRING(bytes);
    int n_units = (int)(PyBytes_GET_SIZE(bytes) / 2);
    const int first = code->co_firstlineno;
    code_analysis a = {.code = code, .exit = first > 0 ? -first : 0};
    flow *result = NULL;
    if (!branches && !bytecode_has(units, n_units, FOR_ITER)) {
        result = branch_table_empty();
        goto done;
    }
    if (!bytecode_decode(&a.decoded, code, units, n_units)) {
        PyErr_NoMemory();
        goto done;
    }
    a.list = a.decoded.list;
    a.count = a.decoded.count;
    a.first_line = a.decoded.first_line;
    a.last_line = a.decoded.last_line;
    bool one_liner = branches && code_is_one_liner(code);
    if (!one_liner && !has_outcomes(&a)) {
        result = branch_table_empty();
        goto done;
    }
    if (!number_lines(&a) || !make_room(&a)) {
        PyErr_NoMemory();
        goto done;
    }
    link_jumps(&a);
    if (branches) {
        if (!mark_branch_lines(&a)) {
            PyErr_NoMemory();
            goto done;
        }
        find_targets(&a);
        find_branches(&a);
        find_definition_ends(&a);
        find_ends(&a, one_liner);
    } else {
        find_lines_without_events(&a);
    }
    result = a.failed ? NULL : branch_table_pack(&a);
    if (result == NULL) {
        PyErr_NoMemory();
    }

done:
    bytecode_free(&a.decoded);
    dominator_tree_free(a.dominators);
    free(a.distinct_lines);
    free(a.first_jump_to);
    Py_DECREF(bytes);
    return result;
}

#endif
