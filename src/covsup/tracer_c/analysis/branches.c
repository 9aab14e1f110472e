/* analysis/branches.c - find what the events of one code object say about branches.
 *
 * A branch event has two offsets; a report needs two lines. The analysis follows the destination to
 * the start of its line, but only over instructions that cannot raise. After one that can raise,
 * the line may never be reached: in `for a, b in [1]` the event says that the body is entered, and
 * then unpacking raises. There the arc is recorded at the LINE event of the destination instead,
 * provided that control can come there from one line only.
 *
 * Threads, Must never know: see analysis/branches.h. */
#include "analysis/branches.h"

#include <stdlib.h>
#include <string.h>

#include "analysis/branch_lines.h"
#include "analysis/control_flow.h"
#include "analysis/dominators.h"
#include "analysis/table_packing.h"

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
        if (control_flow_ends_except_star(a, k + 2)) {
            a->has_except_star = true;
        }
    }
}

/* LINE events that imply an arc. */
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
            control_flow_add_line_arc(a, k, from);
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
    /* Where a tool has INSTRUCTION events too, the source of a branch event is the instruction
     * before the destination: the NOT_TAKEN, or at the end of a loop the POP_ITER (3.14, 3.15). */
    if (COMPAT_BRANCH_SIDES) {
        add_outcomes(a, i->next * 2, 0, line, falls_to, 0);
        if (i->op == FOR_ITER && i->target >= 0 && i->target + 1 < a->count) {
            add_outcomes(a, a->list[i->target + 1].at * 2, 0, line, 0, jumps_to);
        }
    }
}

/* The END_ASYNC_FOR at `k` may end an `async for` and go on to line `to`. Every exception of the
 * iterator reaches that instruction, and its events (from 3.14 on a branch event too) come before
 * it checks which exception it is. So only the instruction after it shows that the loop has ended.
 * (If a `break` can also lead there, END_ASYNC_FOR itself has to stand for the end of the loop.) */
static void
add_async_for_end(code_analysis *a, int k, int line, int to)
{
    int after = k + 1;
    bool alone = after < a->count && a->first_jump_to[after] < 0 && !a->list[after].is_handler &&
                 !bytecode_is_lineless(a->list[after].op);
    control_flow_add_instruction_arc(a, alone ? after : k, line, to);
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
        if (control_flow_ends_except_star(a, k)) {
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
            /* An `async for` goes on. From 3.14 on that has a branch event, whose source is the
             * instruction after the END_SEND. */
            int to = control_flow_follow(a, k + 1, line);
            if (COMPAT_BRANCH_SIDES) {
                add_outcomes(a, (i->at + 1) * 2, 0, line, to, 0);
            } else if (to != 0) {
                control_flow_add_instruction_arc(a, k, line, to);
            }
        }
    }
}

/* For a report, the line of a one-line definition has two exits: to the next line, and out of the
 * body once it is called. There is no branch at the definition, so the arc to the next line is
 * implied by that line's start, or if other lines lead to it too, by the last instruction of the
 * definition, which stores the name. (A namespace that refuses the name is not taken into account.)
 * The line of a decorator counts like that of its `def`. */
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
                if (line > 0 && i->arc_from == 0 && is_marked_line(a, line)) {
                    if (i->starts_line && control_flow_first_entered_from(a, p, line)) {
                        control_flow_add_line_arc(a, p, line);
                    } else {
                        control_flow_add_instruction_arc(a, last, line, i->line);
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
                break; /* that definition has a turn of its own */
            } else if (i->kind == SAFE || i->kind == MAY_RAISE) {
                last = bytecode_is_lineless(i->op) || i->line != line ? last : p;
                p++;
            } else {
                if (control_flow_ends_except_star(a, p) && is_marked_line(a, line)) {
                    control_flow_add_instruction_arc(a, last, line, ARC_PENDING);
                }
                break; /* a branch, a return and a raise have their own events */
            }
        }
    }
}

/* In line mode: lines after a loop for which no LINE event is sent (from 3.14 on, where the
 * instructions that end the loop are between two parts of the same line). The branch event of the
 * loop's end implies them. */
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

/* Is the instruction at `k` a raise statement that is a whole body, or one that shares its line
 * with a branch although that branch leads to another line first (where the statement goes on)? */
static bool
is_own_raise(const code_analysis *a, int k, bool one_liner)
{
    const instruction *i = &a->list[k];
    return i->op == RAISE_VARARGS &&
           (one_liner || (is_marked_line(a, i->line) && !control_flow_is_assertion(a, k)));
}

/* Returns and raises on the line of the branch that leads to them: their own events imply the arc.
 */
static void
find_ends(code_analysis *a, bool one_liner)
{
    /* The code of type parameters has the line of the function, which has not been called yet. */
    const bool generic = code_is_type_params_scope(a->code);
    for (int m = 0; m < a->decoded.n_notable; m++) {
        int k = a->decoded.notable[m];
        const instruction *i = &a->list[k];
        if (i->line <= 0) {
            continue;
        }
        if (i->kind == RETURNS && !generic && a->exit != 0 &&
            (one_liner || i->records_own_exit || is_marked_line(a, i->line))) {
            a->out.return_arcs[a->out.n_return_arcs++] =
                (instruction_arc){i->at * 2, i->line, a->exit};
        } else if (i->kind == RAISES && (i->records_own_exit || is_own_raise(a, k, one_liner))) {
            int to = control_flow_handler_line(a, i->handler);
            if (to != 0 && to != i->line) {
                control_flow_add_instruction_arc(a, k, i->line, to);
            }
        }
    }
}

/* Is there anything to analyse, or do the lines only follow one another? */
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

/* Give each line of the code a slot. That is its distance from the first line, unless the lines are
 * so far apart that tables by line would grow with the distance. False: out of memory. */
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

/* Allocate the analysis's arrays at once. False: out of memory. */
static bool
make_room(code_analysis *a)
{
    const size_t count = (size_t)a->count + 1, notable = (size_t)a->decoded.n_notable;
    const size_t line_bytes = (size_t)a->n_slots / 8 + 1;
    /* At most three entries per branch (add_branch), and one arc per instruction. */
    a->first_jump_to = malloc(
        4 * count * sizeof(int) + count * sizeof(line_arc) + 3 * notable * sizeof(branch_outcomes) +
        notable * sizeof(instruction_arc) + count * sizeof(instruction_arc) + 3 * line_bytes);
    if (a->first_jump_to == NULL) {
        return false;
    }
    a->next_jump_to = a->first_jump_to + count;
    a->before = a->next_jump_to + count;
    a->followed_from = a->before + count;
    a->out.line_arcs = (line_arc *)(a->followed_from + count);
    a->out.branches = (branch_outcomes *)(a->out.line_arcs + count);
    a->out.return_arcs = (instruction_arc *)(a->out.branches + 3 * notable);
    a->out.instruction_arcs = a->out.return_arcs + notable;
    a->lines = (uint8_t *)(a->out.instruction_arcs + count);
    a->starts = a->lines + line_bytes;
    a->restarts = a->starts + line_bytes;
    memset(a->lines, 0, 3 * line_bytes);
    memset(a->followed_from, 0, count * sizeof(int));
    for (size_t k = 0; k < count; k++) {
        a->before[k] = NOT_COMPUTED;
    }
    return true;
}

branch_table *
branch_table_new(PyCodeObject *code, bool arcs)
{
    if (!arcs && !COMPAT_BRANCH_SIDES) {
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
    branch_table *result = NULL;
    if (!arcs && !bytecode_has(units, n_units, FOR_ITER)) {
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
    bool one_liner = arcs && code_is_one_liner(code);
    if (!one_liner && !has_outcomes(&a)) {
        result = branch_table_empty();
        goto done;
    }
    if (!number_lines(&a) || !make_room(&a)) {
        PyErr_NoMemory();
        goto done;
    }
    link_jumps(&a);
    if (arcs) {
        if (!branch_lines_mark(&a)) {
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
    result = a.failed ? NULL : table_pack(&a);
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
