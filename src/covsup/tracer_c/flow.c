/* flow.c - what the events of one code object tell about branches.
 *
 * A branch event names two offsets; a report wants two lines. The destination is followed to
 * where its line begins, but only over instructions that cannot raise: past one that can, the
 * line may never be reached (`for a, b in [1]` enters its body in the event's eyes and raises).
 * There the arc is taken from the LINE event of the destination instead, where the instructions
 * that lead to it leave one way to get there.
 *
 * Threads: pure, but for the memory it allocates. Must never know: events, files, the journal. */
#include "flow.h"

#include <stdlib.h>
#include <string.h>

#include "flow_code.h"

#if COMPAT_MONITORING

typedef struct {
    PyCodeObject *code;
    decoded_code decoded;
    instruction *list; /* the decoded ones */
    int count;
    int *entered_head; /* per instruction: first in `entered_next` of the jumps into it, or -1 */
    int *entered_next; /* per instruction: the next one that jumps to the same place */
    uint8_t *lines;    /* bitmap from first_line on: the lines from which branches leave */
    uint8_t *starts;   /* bitmap: the lines that start somewhere */
    uint8_t *restarts; /* bitmap: those that start in two places or more */
    int first_line, last_line;
    bool has_except_star;
    uint8_t *visited;
    int *stack;
    flow out; /* with arrays that are large enough for anything */
} analysis;

enum { AMBIGUOUS = -1, UNREACHED = 0, MAX_CHAIN = 16 };

static bool
falls_through(const instruction *i)
{
    return i->kind != JUMPS && i->kind != RETURNS && i->kind != RAISES;
}

/* Is the jump at `k` the one after the `except*` clauses of a try statement? */
static bool
ends_except_star(const analysis *a, int k)
{
    const int intrinsic_prep_reraise_star = 1; /* 3.12 to 3.15 */
    return k >= 2 && k < a->count && a->list[k].kind == BRANCH && a->list[k].line == 0 &&
           a->list[k - 1].op == COPY && a->list[k - 2].op == CALL_INTRINSIC_2 &&
           a->list[k - 2].oparg == intrinsic_prep_reraise_star;
}

static void
link_jumps(analysis *a)
{
    memset(a->entered_head, 0xFF, (size_t)a->count * sizeof(int)); /* -1 */
    for (int m = 0; m < a->decoded.n_notable; m++) {
        int k = a->decoded.notable[m];
        int target = a->list[k].target;
        if (target >= 0) {
            a->entered_next[k] = a->entered_head[target];
            a->entered_head[target] = k;
        }
        if (ends_except_star(a, k + 2)) {
            a->has_except_star = true;
        }
    }
}

static inline void
set_bit(uint8_t *map, int bit)
{
    map[bit / 8] |= (uint8_t)(1 << (bit % 8));
}

static inline bool
has_bit(const uint8_t *map, int bit)
{
    return (map[bit / 8] >> (bit % 8)) & 1;
}

static void
mark_line(analysis *a, int line)
{
    if (line >= a->first_line && line <= a->last_line && line > 0) {
        set_bit(a->lines, line - a->first_line);
    }
}

static bool
is_marked(const analysis *a, int line)
{
    return line >= a->first_line && line <= a->last_line && has_bit(a->lines, line - a->first_line);
}

/* The code object that the MAKE_FUNCTION at `k` is about to wrap, or NULL. */
static PyCodeObject *
function_made_at(const analysis *a, int k)
{
    for (int back = k - 1; back >= 0 && back >= k - 2; back--) {
        const instruction *i = &a->list[back];
        if (i->op == LOAD_CONST && i->oparg < PyTuple_GET_SIZE(a->code->co_consts)) {
            PyObject *constant = PyTuple_GET_ITEM(a->code->co_consts, i->oparg);
            return PyCode_Check(constant) ? (PyCodeObject *)constant : NULL;
        }
    }
    return NULL;
}

/* The target of a loop may stand on lines of its own, which then lead into the body. */
static void
mark_loop_target(analysis *a, int k)
{
    enum { MOST = 8 }; /* some instructions of the body among them do no harm */
    for (int end = k + MOST; k < end && k < a->count && a->list[k].kind != BRANCH; k++) {
        switch (a->list[k].op) {
        case STORE_FAST:
        case STORE_NAME:
        case STORE_GLOBAL:
        case STORE_DEREF:
        case STORE_ATTR:
        case STORE_SUBSCR:
        case UNPACK_SEQUENCE:
        case UNPACK_EX:
#ifdef STORE_FAST_STORE_FAST
        case STORE_FAST_STORE_FAST:
#endif
#ifdef STORE_FAST_LOAD_FAST
        case STORE_FAST_LOAD_FAST:
#endif
            mark_line(a, a->list[k].line);
            break;
        default:
            break;
        }
    }
}

/* Mark the lines that a report may give more than one exit. */
static void
mark_branch_lines(analysis *a)
{
    for (int m = 0; m < a->decoded.n_notable; m++) {
        int k = a->decoded.notable[m];
        const instruction *i = &a->list[k];
        if (i->kind == BRANCH || i->op == GET_ANEXT || i->op == END_ASYNC_FOR ||
            i->op == NOP) { /* what is left of `while True`, whose else counts as an exit */
            mark_line(a, i->line);
            if (i->op == FOR_ITER) {
                mark_loop_target(a, k + 1);
            }
        } else if (i->op == END_SEND) {
            mark_loop_target(a, k + 1);
            if (i->line > 0) {
                /* The interpreter may send a LINE event here too, after an exception thrown in. */
                set_bit(a->restarts, i->line - a->first_line);
            }
        } else if (i->op == MAKE_FUNCTION) {
            PyCodeObject *made = function_made_at(a, k);
            if (made != NULL && flow_is_one_liner(made)) {
                mark_line(a, i->line);
                mark_line(a, flow_first_line(made));
                mark_line(a, made->co_firstlineno);
            }
        }
    }
}

/* The one line from which control enters instruction `k`, looking through instructions without a
 * line; AMBIGUOUS, or UNREACHED. */
static int
line_before(const analysis *a, int k, int depth)
{
    if (k == 0 || a->list[k].is_handler || depth > MAX_CHAIN) {
        return AMBIGUOUS;
    }
    int found = UNREACHED;
    int jump = a->entered_head[k];
    for (int p = k - 1; p >= 0; p = jump, jump = jump >= 0 ? a->entered_next[jump] : -1) {
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

/* Does control reach instruction `k` for the first time in a frame always from `line`? Everything
 * that can run before it is walked, exception handlers included. */
static bool
first_entered_from(analysis *a, int k, int line)
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
                int from = i->line > 0 ? i->line : line_before(a, p, 0);
                if (from != line || s == 2) {
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

/* Running instruction `k` for the first time tells the arc (line, to), unless other lines lead to
 * it, too. */
static void
add_step(analysis *a, int k, int line, int to)
{
    instruction *i = &a->list[k];
    if (!i->step && (i->line == line || line_before(a, k, 0) == line)) {
        i->step = true;
        a->out.steps[a->out.n_steps++] = (flow_step){i->start * 2, line, to};
    }
}

/* The line that begins at instruction `k` tells that control came from line `from`. */
static void
add_target(analysis *a, int k, int from)
{
    instruction *i = &a->list[k];
    if (i->told != 0 || !i->starts_line) {
        return;
    }
    i->told = from;
    a->out.targets[a->out.n_targets++] = (flow_target){k, from};
}

/* Every exception that leaves a generator or coroutine comes by here: a StopIteration becomes
 * another exception, and the RERAISE that follows ends the frame. */
static bool
is_stop_iteration_error(const instruction *i)
{
    const int intrinsic_stopiteration_error = 3; /* 3.12 to 3.15 */
    return i->op == CALL_INTRINSIC_1 && i->oparg == intrinsic_stopiteration_error;
}

/* Where an exception goes that the handler at `k` gets: the line on which the handler begins, the
 * exit where nothing but clean-up handles it, or 0 where that is not certain. */
static int
handler_line(const analysis *a, int k)
{
    for (int steps = 0; steps < MAX_CHAIN; steps++) {
        if (k < 0 || k >= a->count) {
            return -a->code->co_firstlineno;
        }
        const instruction *i = &a->list[k];
        if (i->line > 0) {
            return i->line;
        }
        if (i->op == RERAISE) {
            k = i->handler;
        } else if (i->kind == SAFE || is_stop_iteration_error(i)) {
            k++;
        } else {
            return 0;
        }
    }
    return 0;
}

/* Is the raise at `k` that of an assert statement, which is no branch for a report? */
static bool
asserts(const analysis *a, int k)
{
    for (int back = k - 1; back >= 0 && a->list[back].kind != BRANCH; back--) {
        const instruction *i = &a->list[back];
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
unbinds(const analysis *a, int k)
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

/* Does control go from `k`, reached from `line`, straight to the jump after `except*` clauses? */
static bool
ends_clause(const analysis *a, int k, int line)
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
        } else if (i->kind == SAFE || i->op == LIST_APPEND || i->op == CALL_INTRINSIC_2 ||
                   unbinds(a, k)) {
            k++;
        } else {
            return false;
        }
    }
    return false;
}

/* Where control goes on a new line after reaching instruction `k` from `line`: what facts_arc
 * wants, or 0 where no event is needed or nothing is certain. */
static int
follow(analysis *a, int k, int line)
{
    if (a->has_except_star && ends_clause(a, k, line)) {
        return FLOW_LATER;
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
            if (line == FLOW_LATER) {
                return 0;
            }
            if (i->told == 0 && i->starts_line && first_entered_from(a, k, line)) {
                add_target(a, k, line);
            } else if (sure != k) {
                add_step(a, sure, line, i->line);
            }
            return 0;
        }
        switch ((instruction_kind)i->kind) {
        case BRANCH:
            return 0;
        case RAISES:
            if (i->op == RERAISE) { /* the exception that waited for this line goes on */
                return certain ? handler_line(a, i->handler) : 0;
            }
            i->ends_itself = !asserts(a, k);
            return 0;
        case RETURNS:
            /* On this very line, its own event tells the exit, once: that of a branch whose other
             * side is hot (the end of a loop) would have to stay enabled until then. */
            if (certain && i->line != line) {
                return -a->code->co_firstlineno;
            }
            i->ends_itself = true;
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
            certain = false;
            sure = ++k;
            break;
        case SAFE:
            if (sure == k && flow_is_lineless(i->op)) {
                sure++; /* it has no INSTRUCTION events either */
            }
            k++;
            break;
        }
    }
    return 0;
}

/* LINE events that tell an arc by themselves. */
static void
find_targets(analysis *a)
{
    for (int k = 0; k < a->count; k++) {
        const instruction *i = &a->list[k];
        if (!i->starts_line || i->line <= 0) {
            continue;
        }
        int bit = i->line - a->first_line;
        set_bit(has_bit(a->starts, bit) ? a->restarts : a->starts, bit);
        int from = line_before(a, k, 0);
        if (from > 0 && from != i->line && is_marked(a, from)) {
            add_target(a, k, from);
        }
    }
}

static bool
ends_async_for_await(const analysis *a, int k)
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
add_outcomes(analysis *a, int offset, int next, int line, int falls_to, int jumps_to)
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
add_branch(analysis *a, const instruction *i, int line, int falls_to, int jumps_to)
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

static void
find_branches(analysis *a)
{
    for (int m = 0; m < a->decoded.n_notable; m++) {
        int k = a->decoded.notable[m];
        const instruction *i = &a->list[k];
        if (i->kind != BRANCH && i->op != END_ASYNC_FOR && i->op != END_SEND) {
            continue;
        }
        int line = i->line > 0 ? i->line : line_before(a, k, 0);
        if (ends_except_star(a, k)) {
            line = FLOW_LATER;
        } else if (line <= 0) {
            continue;
        }
        if (i->kind == BRANCH) {
            int falls_to = follow(a, k + 1, line);
            int jumps_to = i->target >= 0 ? follow(a, i->target, line) : 0;
            add_branch(a, i, line, falls_to, jumps_to);
        } else if (i->op == END_ASYNC_FOR || (i->op == END_SEND && ends_async_for_await(a, k))) {
            /* An `async for` ends or goes on. From 3.14 on that is a branch, whose events name the
             * END_SEND when it ends and the instruction after that when it goes on. */
            int to = follow(a, k + 1, line);
            if (!COMPAT_BRANCH_SIDES) {
                if (to != 0) {
                    add_step(a, k, line, to);
                }
            } else if (i->op == END_SEND) {
                add_outcomes(a, (i->at + 1) * 2, 0, line, to, 0);
            } else if (i->next >= i->oparg) {
                int awaited = a->decoded.index_of[i->next - i->oparg]; /* the END_SEND */
                add_outcomes(a, a->list[awaited].at * 2, 0, line, 0, to);
            }
        }
    }
}

/* A one-line definition: leaving its line is one outcome, and leaving its body, once it is called,
 * the other. Nothing branches here, so it is told by the line that follows, or where several lead
 * to that one, by the last instruction, which stores the name. (That a namespace refuses it is not
 * reckoned with.) The line of a decorator counts like that of its `def`. */
static void
find_definition_ends(analysis *a)
{
    for (int m = 0; m < a->decoded.n_notable; m++) {
        int k = a->decoded.notable[m];
        PyCodeObject *made = a->list[k].op == MAKE_FUNCTION ? function_made_at(a, k) : NULL;
        if (made == NULL || !flow_is_one_liner(made)) {
            continue;
        }
        int last = k, line = a->list[k].line;
        int p = k + 1;
        for (int steps = 0; steps < a->count && p >= 0 && p < a->count; steps++) {
            const instruction *i = &a->list[p];
            if (i->line > 0 && i->line != line) {
                if (line > 0 && i->told == 0 && is_marked(a, line)) {
                    if (i->starts_line && first_entered_from(a, p, line)) {
                        add_target(a, p, line);
                    } else {
                        add_step(a, last, line, i->line);
                    }
                }
                line = i->line;
                if (!is_marked(a, line)) {
                    break;
                }
            }
            if (i->kind == JUMPS) {
                p = i->target;
            } else if (i->kind == SAFE || i->kind == MAY_RAISE) {
                last = flow_is_lineless(i->op) || i->line != line ? last : p;
                p++;
            } else {
                break; /* a branch, a return and a raise have events of their own */
            }
        }
    }
}

/* Without branches: the lines after a loop for which no LINE event is sent (from 3.14 on, where
 * the instructions that end the loop stand between two pieces of code of the same line). The
 * branch event of the loop's end tells them. */
static void
find_silent_lines(analysis *a)
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
raises_here(const analysis *a, int k, bool one_liner)
{
    const instruction *i = &a->list[k];
    return i->op == RAISE_VARARGS && (one_liner || (is_marked(a, i->line) && !asserts(a, k)));
}

/* Returns and raises on the line of the branch that leads to them. */
static void
find_ends(analysis *a, bool one_liner)
{
    for (int m = 0; m < a->decoded.n_notable; m++) {
        int k = a->decoded.notable[m];
        const instruction *i = &a->list[k];
        if (i->line <= 0) {
            continue;
        }
        if (i->kind == RETURNS && (one_liner || i->ends_itself || is_marked(a, i->line))) {
            a->out.returns[a->out.n_returns++] =
                (flow_step){i->at * 2, i->line, -a->code->co_firstlineno};
        } else if (i->kind == RAISES && (i->ends_itself || raises_here(a, k, one_liner))) {
            int to = handler_line(a, i->handler);
            if (to != 0 && to != i->line) {
                add_step(a, k, i->line, to);
            }
        }
    }
}

/* Is there anything but lines that begin one after the other? Most code objects have a branch. */
static bool
has_outcomes(const analysis *a)
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

/* Room for the analysis of what was decoded; false: none. */
static bool
make_room(analysis *a)
{
    const size_t count = (size_t)a->count + 1, notable = (size_t)a->decoded.n_notable;
    const size_t line_bytes = (size_t)(a->last_line - a->first_line) / 8 + 1;
    /* Three outcomes of a branch at most, and a step per instruction. */
    a->entered_head = malloc(3 * count * sizeof(int) + count * sizeof(flow_target) +
                             3 * notable * sizeof(flow_branch) + notable * sizeof(flow_step) +
                             count * sizeof(flow_step) + 3 * line_bytes + count);
    if (a->entered_head == NULL) {
        return false;
    }
    a->entered_next = a->entered_head + count;
    a->stack = a->entered_next + count;
    a->out.targets = (flow_target *)(a->stack + count);
    a->out.branches = (flow_branch *)(a->out.targets + count);
    a->out.returns = (flow_step *)(a->out.branches + 3 * notable);
    a->out.steps = a->out.returns + notable;
    a->lines = (uint8_t *)(a->out.steps + count);
    a->starts = a->lines + line_bytes;
    a->restarts = a->starts + line_bytes;
    a->visited = a->restarts + line_bytes;
    memset(a->lines, 0, 3 * line_bytes);
    return true;
}

static int
ascending(const void *a, const void *b)
{
    int one = *(const int *)a, other = *(const int *)b; /* the first member of all of them */
    return (one > other) - (one < other);
}

/* They are found in order, but for what branches added. */
static void
sort(void *array, int count, size_t size)
{
    for (int i = 1; i < count; i++) {
        char *at = (char *)array + (size_t)i * size;
        if (ascending(at - size, at) > 0) {
            qsort(array, (size_t)count, size, ascending);
            return;
        }
    }
}

/* Nothing to tell: shared by all code objects of which that is true. */
static flow nothing;

/* What was found, in one allocation of its size; NULL: out of memory. */
static flow *
result_of(analysis *a)
{
    flow *found = &a->out;
    if (found->n_targets + found->n_branches + found->n_returns + found->n_steps == 0) {
        return &nothing;
    }
    size_t targets = (size_t)found->n_targets, branches = (size_t)found->n_branches;
    size_t steps = (size_t)found->n_returns + (size_t)found->n_steps;
    flow *self = malloc(sizeof(*self) + targets * sizeof(flow_target) +
                        branches * sizeof(flow_branch) + steps * sizeof(flow_step));
    if (self == NULL) {
        return NULL;
    }
    *self = *found;
    /* Targets whose line starts nowhere else are found by their line, the others by offset. */
    self->targets = self->lone_targets = (flow_target *)(self + 1);
    self->n_targets = 0;
    sort(found->targets, found->n_targets, sizeof(flow_target));
    for (int pass = 0; pass < 2; pass++) {
        for (int t = 0; t < found->n_targets; t++) {
            const instruction *i = &a->list[found->targets[t].at];
            bool lone = !has_bit(a->restarts, i->line - a->first_line);
            if (lone == (pass == 0)) {
                *(lone ? &self->lone_lines : &self->shared_lines) |= UINT64_C(1) << (i->line % 64);
                self->targets[self->n_targets++] =
                    (flow_target){lone ? i->line : i->start * 2, found->targets[t].from};
            }
        }
        if (pass == 0) {
            self->targets += self->n_targets;
            self->n_lone_targets = self->n_targets;
            self->n_targets = 0;
        }
    }
    sort(self->lone_targets, self->n_lone_targets, sizeof(flow_target));
    self->branches = (flow_branch *)(self->targets + self->n_targets);
    self->returns = (flow_step *)(self->branches + branches);
    self->steps = self->returns + self->n_returns;
    memcpy(self->branches, found->branches, branches * sizeof(flow_branch));
    memcpy(self->returns, found->returns, (size_t)self->n_returns * sizeof(flow_step));
    memcpy(self->steps, found->steps, (size_t)self->n_steps * sizeof(flow_step));
    sort(self->branches, self->n_branches, sizeof(flow_branch));
    sort(self->returns, self->n_returns, sizeof(flow_step));
    sort(self->steps, self->n_steps, sizeof(flow_step));
    return self;
}

void
flow_free(flow *self)
{
    if (self != &nothing) {
        free(self);
    }
}

flow *
flow_new(PyCodeObject *code, bool branches)
{
    if (!branches && !COMPAT_BRANCH_SIDES) {
        return &nothing;
    }
    PyObject *bytes = PyCode_GetCode(code); /* owned; without specialisation or instrumentation */
    if (bytes == NULL) {
        return NULL;
    }
    const uint8_t *units = (const uint8_t *)PyBytes_AS_STRING(bytes);
    int n_units = (int)(PyBytes_GET_SIZE(bytes) / 2);
    analysis a = {.code = code};
    flow *result = NULL;
    if (!branches && !flow_has(units, n_units, FOR_ITER)) {
        result = &nothing;
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
        result = &nothing;
        goto done;
    }
    if (!make_room(&a)) {
        PyErr_NoMemory();
        goto done;
    }
    link_jumps(&a);
    if (branches) {
        mark_branch_lines(&a);
        find_targets(&a);
        find_branches(&a);
        find_definition_ends(&a);
        find_ends(&a, one_liner);
    } else {
        find_silent_lines(&a);
    }
    result = result_of(&a);
    if (result == NULL) {
        PyErr_NoMemory();
    }

done:
    flow_decode_free(&a.decoded);
    free(a.entered_head);
    Py_DECREF(bytes);
    return result;
}

/* The entry at `key` in an array of structures that begin with theirs, in ascending order. */
static void *
find(void *array, int count, size_t size, int key)
{
    int low = 0, high = count;
    while (low < high) {
        int middle = (low + high) / 2;
        void *entry = (char *)array + (size_t)middle * size;
        int at = *(int *)entry;
        if (at == key) {
            return entry;
        }
        if (at < key) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return NULL;
}

const flow_target *
flow_target_of_line(const flow *self, int line)
{
    return find(self->lone_targets, self->n_lone_targets, sizeof(flow_target), line);
}

const flow_target *
flow_target_at(const flow *self, int offset)
{
    return find(self->targets, self->n_targets, sizeof(flow_target), offset);
}

flow_branch *
flow_branch_at(const flow *self, int offset)
{
    return find(self->branches, self->n_branches, sizeof(flow_branch), offset);
}

const flow_step *
flow_return_at(const flow *self, int offset)
{
    return find(self->returns, self->n_returns, sizeof(flow_step), offset);
}

const flow_step *
flow_step_at(const flow *self, int offset)
{
    return find(self->steps, self->n_steps, sizeof(flow_step), offset);
}

#endif
