/* analysis/control_flow.c - where control goes from an instruction, and where it comes from.
 *
 * Threads, Must never know: see analysis/branches.h. */
#include "analysis/control_flow.h"

#if COMPAT_MONITORING

#include "analysis/dominators.h"

enum { MAX_STEPS = 16 }; /* over instructions without a line; more give no answer */

bool
control_flow_ends_except_star(const code_analysis *a, int k)
{
    const int intrinsic_prep_reraise_star = 1; /* 3.12 to 3.15 */
    return k >= 2 && k < a->count && a->list[k].kind == BRANCH && a->list[k].line == 0 &&
           a->list[k - 1].op == COPY && a->list[k - 2].op == CALL_INTRINSIC_2 &&
           a->list[k - 2].oparg == intrinsic_prep_reraise_star;
}

static int
line_before(const code_analysis *a, int k, int depth)
{
    if (a->before[k] != NOT_COMPUTED) {
        return a->before[k];
    }
    if (k == 0 || a->list[k].is_handler || depth > MAX_STEPS) {
        return AMBIGUOUS;
    }
    int found = UNREACHED;
    int jump = a->first_jump_to[k];
    for (int p = k - 1; p >= 0; p = jump, jump = jump >= 0 ? a->next_jump_to[jump] : -1) {
        if (p == k - 1 && !falls_through(&a->list[p]) && a->list[p].target != k) {
            continue;
        }
        int line = a->list[p].line > 0 ? a->list[p].line : line_before(a, p, depth + 1);
        if (line == AMBIGUOUS || (found != UNREACHED && line != UNREACHED && line != found)) {
            return AMBIGUOUS;
        }
        if (line != UNREACHED) {
            found = line;
        }
    }
    return found;
}

int
control_flow_line_before(code_analysis *a, int k)
{
    return a->before[k] = line_before(a, k, 0);
}

static int
line_of(code_analysis *a, int k)
{
    return a->list[k].line > 0 ? a->list[k].line : control_flow_line_before(a, k);
}

bool
control_flow_first_entered_from(code_analysis *a, int k, int line)
{
    if (k == 0 || a->list[k].is_handler) {
        return false; /* control comes from the caller, or from where the exception was raised */
    }
    if (a->dominators == NULL && (a->dominators = dominator_tree_new(a)) == NULL) {
        a->failed = true;
        return false;
    }
    if (falls_through(&a->list[k - 1]) && dominator_tree_reached_without(a->dominators, k - 1, k) &&
        line_of(a, k - 1) != line) {
        return false;
    }
    for (int p = a->first_jump_to[k]; p >= 0; p = a->next_jump_to[p]) {
        if (dominator_tree_reached_without(a->dominators, p, k) && line_of(a, p) != line) {
            return false;
        }
    }
    return true;
}

void
control_flow_add_instruction_arc(code_analysis *a, int k, int line, int to)
{
    instruction *i = &a->list[k];
    if (!i->has_instruction_arc && (i->line == line || control_flow_line_before(a, k) == line)) {
        i->has_instruction_arc = true;
        if (COMPAT_LINE_EVENT_HIDES_INSTRUCTION && i->starts_line && i->arc_from == 0 &&
            to != ARC_PENDING && i[-1].op != END_SEND && i[-1].op != END_ASYNC_FOR) {
            /* Here the LINE event would swallow the first INSTRUCTION event (compat.h), so it has
             * to imply the arc. Not after an END_SEND or END_ASYNC_FOR: there it is not always
             * sent. */
            i->arc_from = -1;
            a->out.line_arcs[a->out.n_line_arcs++] = (line_arc){k, line, to};
            return;
        }
        a->out.instruction_arcs[a->out.n_instruction_arcs++] =
            (instruction_arc){i->start * 2, line, to};
    }
}

void
control_flow_add_line_arc(code_analysis *a, int k, int from)
{
    instruction *i = &a->list[k];
    if (i->arc_from != 0 || !i->starts_line) {
        return;
    }
    i->arc_from = from;
    a->out.line_arcs[a->out.n_line_arcs++] = (line_arc){k, from, 0};
}

/* Every exception that leaves a generator or coroutine passes this instruction, which turns a
 * StopIteration into a RuntimeError; the RERAISE after it ends the frame. */
static bool
is_stop_iteration_error(const instruction *i)
{
    const int intrinsic_stopiteration_error = 3; /* 3.12 to 3.15 */
    return i->op == CALL_INTRINSIC_1 && i->oparg == intrinsic_stopiteration_error;
}

bool
control_flow_is_assertion(const code_analysis *a, int k)
{
    for (int back = k - 1; back >= 0; back--) {
        const instruction *i = &a->list[back];
        if (i->kind == BRANCH || i->kind == RAISES) {
            break; /* here the assertion begins, or the one before it ends */
        }
#ifdef LOAD_ASSERTION_ERROR
        if (i->op == LOAD_ASSERTION_ERROR) {
            return true;
        }
#else
        if (i->op == LOAD_COMMON_CONSTANT && i->oparg == 0) {
            return true;
        }
#endif
    }
    return false;
}

static bool
deletes(uint8_t store, uint8_t op)
{
    return (store == STORE_FAST && op == DELETE_FAST) ||
           (store == STORE_NAME && op == DELETE_NAME) ||
           (store == STORE_GLOBAL && op == DELETE_GLOBAL) ||
           (store == STORE_DEREF && op == DELETE_DEREF);
}

static bool
loads_none(const instruction *i)
{
#ifdef LOAD_COMMON_CONSTANT
    return i->op == LOAD_CONST || i->op == LOAD_COMMON_CONSTANT; /* the second from 3.15 on */
#else
    return i->op == LOAD_CONST;
#endif
}

/* Is the instruction at `k` one of those that unbind the name of an exception (`e = None; del e`)?
 * They can fail only in a namespace that refuses it. */
static bool
unbinds(const code_analysis *a, int k)
{
    for (int store = k - 1; store <= k; store++) {
        if (store >= 1 && store + 1 < a->count && loads_none(&a->list[store - 1]) &&
            deletes(a->list[store].op, a->list[store + 1].op) &&
            a->list[store].oparg == a->list[store + 1].oparg) {
            return true;
        }
    }
    return false;
}

/* Is the instruction at `k` one of those that end an `except*` clause? They cannot fail. */
static bool
keeps_group(const code_analysis *a, int k)
{
    return a->list[k].op == LIST_APPEND || a->list[k].op == CALL_INTRINSIC_2 || unbinds(a, k);
}

int
control_flow_handler_line(const code_analysis *a, int k)
{
    for (int steps = 0; steps < MAX_STEPS; steps++) {
        if (k < 0 || k >= a->count) {
            return a->exit;
        }
        const instruction *i = &a->list[k];
        if (i->line > 0) {
            return i->line;
        }
        if (i->op == RERAISE) {
            k = i->handler;
        } else if (i->kind == JUMPS || control_flow_ends_except_star(a, k)) {
            k = i->target; /* after the last `except*` clause: the rest is raised again */
        } else if (i->kind == SAFE || is_stop_iteration_error(i) || keeps_group(a, k)) {
            k++;
        } else {
            return 0;
        }
    }
    return 0;
}

/* Does control go from `k`, which it reached from `line`, straight to the jump after the `except*`
 * clauses? */
static bool
ends_clause(const code_analysis *a, int k, int line)
{
    for (int steps = 0; k >= 0 && k < a->count && steps <= MAX_STEPS; steps++) {
        const instruction *i = &a->list[k];
        if (i->line > 0 && i->line != line) {
            return false;
        }
        if (i->kind == BRANCH) {
            return control_flow_ends_except_star(a, k);
        }
        if (i->kind == JUMPS) {
            k = i->target;
        } else if (i->kind == SAFE || keeps_group(a, k)) {
            k++;
        } else {
            return false;
        }
    }
    return false;
}

int
control_flow_follow(code_analysis *a, int k, int line)
{
    if (a->has_except_star && ends_clause(a, k, line)) {
        return ARC_PENDING;
    }
    bool certain = true;
    int sure = k; /* from here to `k` nothing can raise */
    for (int steps = 0; k >= 0 && k < a->count && steps <= a->count; steps++) {
        instruction *i = &a->list[k];
        if (i->line > 0 && i->line != line) {
            if (i->arc_from == line) {
                return 0;
            }
            if (certain) {
                return i->line;
            }
            if (line == ARC_PENDING) {
                return 0;
            }
            if (i->arc_from == 0 && i->starts_line && control_flow_first_entered_from(a, k, line)) {
                control_flow_add_line_arc(a, k, line);
            } else if (sure != k) {
                control_flow_add_instruction_arc(a, sure, line, i->line);
            }
            return 0;
        }
        switch ((instruction_kind)i->kind) {
        case BRANCH:
            return 0;
        case RAISES:
            if (i->op == RERAISE) { /* the end of a `finally` or `with`: the exception goes on */
                return certain ? control_flow_handler_line(a, i->handler) : 0;
            }
            i->records_own_exit = !control_flow_is_assertion(a, k);
            return 0;
        case RETURNS:
            /* A return on the same line implies the exit by its own event, which can be disabled
             * after one time. The branch's event would have to stay enabled until the return,
             * although its other outcome may be hot (a loop that goes on). */
            if (certain && i->line != line) {
                return a->exit;
            }
            i->records_own_exit = true;
            return 0;
        case JUMPS:
            k = i->target;
            break;
        case SENDS:
            certain = false;
            sure = k = i->target;
            break;
        case MAY_RAISE:
            if (unbinds(a, k)) {
                k++;
                break;
            }
            /* From here on nothing is certain, so the result depends on the line alone. */
            if (a->followed_from[k] == line) {
                return 0;
            }
            a->followed_from[k] = line;
            certain = false;
            sure = ++k;
            break;
        case SAFE:
            if (sure == k && bytecode_is_lineless(i->op)) {
                sure++; /* such instructions have no INSTRUCTION events either */
            }
            k++;
            break;
        }
    }
    return 0;
}

#endif
