/* analysis/control_flow.c - where control goes from an instruction, and where it comes from.
 *
 * Threads: pure. Must never know: events, files, the journal. */
#include "analysis/analysis.h"

#if COMPAT_MONITORING

#include <string.h>

enum { MAX_CHAIN = 16 };

bool
ends_except_star(const code_analysis *a, int k)
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
    if (k == 0 || a->list[k].is_handler || depth > MAX_CHAIN) {
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

/* The same as below, by a walk through all of the code. */
static bool
walk_first_entered_from(code_analysis *a, int k, int line)
{
    memset(a->visited, 0, (size_t)a->count);
    int depth = 0;
    a->stack[depth++] = 0;
    a->visited[0] = 1;
    a->visited[k] = 1;
    while (depth > 0) {
        int p = a->stack[--depth];
        const instruction *i = &a->list[p];
        int successors[3] = {falls_through(i) && p + 1 < a->count ? p + 1 : -1, i->target,
                             i->handler};
        for (int s = 0; s < 3; s++) {
            int next = successors[s];
            if (next == k) {
                if (s == 2 || line_of(a, p) != line) {
                    return false;
                }
            } else if (next >= 0 && !a->visited[next]) {
                a->visited[next] = 1;
                a->stack[depth++] = next;
            }
        }
    }
    return true;
}

bool
control_flow_first_entered_from(code_analysis *a, int k, int line)
{
    enum { MAX_WALKS = 8 }; /* they cost less than the tree of dominators, which all others use */
    if (k == 0 || a->list[k].is_handler) {
        return false; /* from the caller, or from where the exception came */
    }
    if (a->walks < MAX_WALKS) {
        a->walks++;
        return walk_first_entered_from(a, k, line);
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
add_instruction_arc(code_analysis *a, int k, int line, int to)
{
    instruction *i = &a->list[k];
    if (!i->step && (i->line == line || control_flow_line_before(a, k) == line)) {
        i->step = true;
        if (COMPAT_LINE_EVENT_HIDES_INSTRUCTION && i->starts_line && i->told == 0 &&
            to != ARC_PENDING && i[-1].op != END_SEND &&
            i[-1].op != END_ASYNC_FOR) { /* where it is not sent each time */
            i->told = -1;                /* nothing else */
            a->out.targets[a->out.n_line_arcs++] = (line_arc){k, line, to};
            return;
        }
        a->out.steps[a->out.n_instruction_arcs++] = (instruction_arc){i->start * 2, line, to};
    }
}

void
add_line_arc(code_analysis *a, int k, int from)
{
    instruction *i = &a->list[k];
    if (i->told != 0 || !i->starts_line) {
        return;
    }
    i->told = from;
    a->out.targets[a->out.n_line_arcs++] = (line_arc){k, from, 0};
}

/* Every exception that leaves a generator or coroutine comes by here: a StopIteration becomes
 * another exception, and the RERAISE that follows ends the frame. */
static bool
is_stop_iteration_error(const instruction *i)
{
    const int intrinsic_stopiteration_error = 3; /* 3.12 to 3.15 */
    return i->op == CALL_INTRINSIC_1 && i->oparg == intrinsic_stopiteration_error;
}

bool
is_assertion_raise(const code_analysis *a, int k)
{
    for (int back = k - 1; back >= 0; back--) {
        const instruction *i = &a->list[back];
        if (i->kind == BRANCH || i->kind == RAISES) {
            break; /* where the assertion begins, or another one ends */
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
    return i->op == LOAD_CONST || i->op == LOAD_COMMON_CONSTANT; /* the latter from 3.15 on */
#else
    return i->op == LOAD_CONST;
#endif
}

/* Is the instruction at `k` one of those that unbind the name of an exception (`e = None; del e`)?
 * They cannot fail, but in a namespace that refuses it. */
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

/* Is the instruction at `k`, which cannot fail, one of those that end an `except*` clause? */
static bool
keeps_group(const code_analysis *a, int k)
{
    return a->list[k].op == LIST_APPEND || a->list[k].op == CALL_INTRINSIC_2 || unbinds(a, k);
}

int
control_flow_handler_line(const code_analysis *a, int k)
{
    for (int steps = 0; steps < MAX_CHAIN; steps++) {
        if (k < 0 || k >= a->count) {
            return a->exit;
        }
        const instruction *i = &a->list[k];
        if (i->line > 0) {
            return i->line;
        }
        if (i->op == RERAISE) {
            k = i->handler;
        } else if (i->kind == JUMPS || ends_except_star(a, k)) {
            k = i->target; /* in an `except*` clause: something is to be raised after the last */
        } else if (i->kind == SAFE || is_stop_iteration_error(i) || keeps_group(a, k)) {
            k++;
        } else {
            return 0;
        }
    }
    return 0;
}

/* Does control go from `k`, reached from `line`, straight to the jump after `except*` clauses? */
static bool
ends_clause(const code_analysis *a, int k, int line)
{
    for (int steps = 0; k >= 0 && k < a->count && steps <= MAX_CHAIN; steps++) {
        const instruction *i = &a->list[k];
        if (i->line > 0 && i->line != line) {
            return false;
        }
        if (i->kind == BRANCH) {
            return ends_except_star(a, k);
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
    int sure = k; /* from here on nothing can raise */
    for (int steps = 0; k >= 0 && k < a->count && steps <= a->count; steps++) {
        instruction *i = &a->list[k];
        if (i->line > 0 && i->line != line) {
            if (i->told == line) {
                return 0;
            }
            if (certain) {
                return i->line;
            }
            if (line == ARC_PENDING) {
                return 0;
            }
            if (i->told == 0 && i->starts_line && control_flow_first_entered_from(a, k, line)) {
                add_line_arc(a, k, line);
            } else if (sure != k) {
                add_instruction_arc(a, sure, line, i->line);
            }
            return 0;
        }
        switch ((instruction_kind)i->kind) {
        case BRANCH:
            return 0;
        case RAISES:
            if (i->op == RERAISE) { /* the exception that waited for this line goes on */
                return certain ? control_flow_handler_line(a, i->handler) : 0;
            }
            i->records_own_exit = !is_assertion_raise(a, k);
            return 0;
        case RETURNS:
            /* On this very line, its own event tells the exit, once: that of a branch whose other
             * side is hot (the end of a loop) would have to stay enabled until then. */
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
            /* From here on nothing is certain, so what is found depends on the line alone. */
            if (a->followed[k] == line) {
                return 0;
            }
            a->followed[k] = line;
            certain = false;
            sure = ++k;
            break;
        case SAFE:
            if (sure == k && bytecode_is_lineless(i->op)) {
                sure++; /* it has no INSTRUCTION events either */
            }
            k++;
            break;
        }
    }
    return 0;
}

#endif
