/* analysis/branch_lines.c - the lines of a code object that a report may give more than one exit.
 *
 * A report counts all lines of a statement as its first one. The code does not say which statement
 * an instruction belongs to, only where its expression begins and ends; so where an expression on a
 * marked line goes on to other lines, these are joined to the first.
 *
 * Threads, Must never know: see analysis/branches.h. */
#include "analysis/branch_lines.h"

#if COMPAT_MONITORING

#include <stdlib.h>

static void
mark_line(code_analysis *a, int line)
{
    int slot = line_slot(a, line);
    if (slot >= 0) {
        set_bit(a->lines, slot);
    }
}

/* The code of the function or class inside the code of its type parameters (PEP 695), borrowed; any
 * other code itself. */
static PyCodeObject *
body_of_generic(PyCodeObject *code)
{
    PyObject *constants = code->co_consts;
    for (Py_ssize_t c = 0; code_is_type_params_scope(code) && c < PyTuple_GET_SIZE(constants);
         c++) {
        PyObject *constant = PyTuple_GET_ITEM(constants, c);
        if (PyCode_Check(constant) && !code_is_anonymous((PyCodeObject *)constant)) {
            return (PyCodeObject *)constant;
        }
    }
    return code;
}

/* The code object of which the MAKE_FUNCTION at `k` makes a function, borrowed; or NULL. */
static PyCodeObject *
function_made_at(const code_analysis *a, int k)
{
    for (int back = k - 1; back >= 0 && back >= k - 2; back--) {
        const instruction *i = &a->list[back];
        if (i->op == LOAD_CONST && i->oparg >= 0 &&
            i->oparg < PyTuple_GET_SIZE(a->code->co_consts)) {
            PyObject *constant = PyTuple_GET_ITEM(a->code->co_consts, i->oparg);
            return PyCode_Check(constant) ? body_of_generic((PyCodeObject *)constant) : NULL;
        }
    }
    return NULL;
}

static bool
is_store(uint8_t op)
{
    switch (op) {
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
        return true;
    default:
        return false;
    }
}

/* The target of a loop may be on lines of its own, which then lead into the body. */
static void
mark_loop_target(code_analysis *a, int k)
{
    enum { MAX_INSTRUCTIONS = 8 }; /* a mark too many, from the body, does no harm */
    for (int end = k + MAX_INSTRUCTIONS; k < end && k < a->count && a->list[k].kind != BRANCH;
         k++) {
        if (is_store(a->list[k].op)) {
            mark_line(a, a->list[k].line);
        }
    }
}

/* Does the jump at `k` begin an `except`, or end the handler of a `with`? */
static bool
decides_handling(const code_analysis *a, int k)
{
    for (int back = k - 1; back >= 0 && back >= k - 2; back--) {
        if (a->list[back].op == CHECK_EXC_MATCH || a->list[back].op == CHECK_EG_MATCH) {
            return true;
        }
    }
    int next = k + 1;
#ifdef NOT_TAKEN
    next += next < a->count && a->list[next].op == NOT_TAKEN;
#endif
    return next < a->count && a->list[next].op == RERAISE;
}

/* Does the instruction at `k` certainly belong to an expression, and not to a compound statement?
 */
static bool
is_of_expression(const code_analysis *a, int k)
{
    const instruction *before = k > 0 ? &a->list[k - 1] : NULL;
    switch (a->list[k].op) {
    case POP_JUMP_IF_FALSE:
    case POP_JUMP_IF_TRUE:
    case POP_JUMP_IF_NONE:
    case POP_JUMP_IF_NOT_NONE:
        return !decides_handling(a, k);
    case CALL: /* the exit of a `with` is called without arguments of its own */
        return before != NULL &&
               (before->line != a->list[k].line || before->end_line != a->list[k].end_line);
    case BUILD_LIST: /* an `except*` begins with an empty list */
        return a->list[k].oparg > 0;
    case YIELD_VALUE:
        return before != NULL && before->kind != SENDS;
    case BINARY_OP:
    case COMPARE_OP:
    case CONTAINS_OP:
    case IS_OP:
    case LOAD_ATTR:
    case BUILD_TUPLE:
    case BUILD_MAP:
    case BUILD_SET:
    case BUILD_STRING:
    case LIST_EXTEND:
    case SET_UPDATE:
    case DICT_UPDATE:
    case DICT_MERGE:
    case CALL_FUNCTION_EX:
    case UNPACK_SEQUENCE:
    case UNPACK_EX:
#ifdef CALL_KW
    case CALL_KW:
#endif
        return true;
    default:
        return false;
    }
}

/* The last line of the expression to which the instruction at `k` belongs. */
static int
last_line_of(const code_analysis *a, int k)
{
    const instruction *i = &a->list[k];
    if (k >= 2 && ((i->op == FOR_ITER && i[-1].op == GET_ITER) ||
                   (i->op == GET_ANEXT && i[-1].op == GET_AITER))) {
        return i[-2].end_line;
    }
    return is_of_expression(a, k) ? i->end_line : i->line;
}

/* The first slot from `slot` on that is not joined. The chain of slots that leads to it is
 * shortened on the way, as in a union-find. */
static int
next_open(int *open, int slot)
{
    int found = slot;
    while (open[found] != found) {
        found = open[found];
    }
    while (open[slot] != found && slot != found) {
        int next = open[slot];
        open[slot] = found;
        slot = next;
    }
    return found;
}

/* An expression that begins on a marked line may go on to other lines, and other expressions may
 * begin there. For a report all of them are on the first line. False: out of memory. */
static bool
join_long_lines(code_analysis *a)
{
    const size_t slots = (size_t)a->n_slots + 1;
    int *joined = NULL; /* by slot: the first line; 0: the line is not joined */
    int *open = NULL;   /* by slot: where to look for the next slot that is not joined */
    for (int k = 0; k < a->count; k++) {
        const int line = a->list[k].line;
        const int last = is_marked_line(a, line) ? last_line_of(a, k) : line;
        if (last <= line) {
            continue;
        }
        if (joined == NULL) {
            joined = calloc(2 * slots, sizeof(int));
            if (joined == NULL) {
                return false;
            }
            open = joined + slots;
            for (size_t s = 0; s < slots; s++) {
                open[s] = (int)s;
            }
        }
        /* Each slot is joined once and then skipped. Otherwise a statement with many long
         * expressions on its first line would take quadratic time. */
        const int end = last < a->last_line ? line_slot_from(a, last + 1) : a->n_slots;
        for (int s = next_open(open, line_slot(a, line) + 1); s < end; s = next_open(open, s)) {
            joined[s] = line;
            set_bit(a->lines, s);
            open[s] = s + 1;
        }
    }
    for (int k = 0; k < a->count && joined != NULL; k++) {
        instruction *i = &a->list[k];
        const int first = i->line > 0 ? joined[line_slot(a, i->line)] : 0;
        i->line = first != 0 ? first : i->line;
    }
    free(joined);
    return true;
}

bool
branch_lines_mark(code_analysis *a)
{
    for (int m = 0; m < a->decoded.n_notable; m++) {
        int k = a->decoded.notable[m];
        const instruction *i = &a->list[k];
        if (i->kind == BRANCH || i->op == GET_ANEXT || i->op == END_ASYNC_FOR ||
            i->op == NOP || /* the rest of `while True`, whose else counts as an exit */
            (i->kind == JUMPS && i->starts_line)) { /* the rest of a constant condition */
            mark_line(a, i->line);
            if (i->op == FOR_ITER) {
                mark_loop_target(a, k + 1);
            }
        } else if (i->op == END_SEND) {
            mark_loop_target(a, k + 1);
            if (i->line > 0) {
                /* After throw() the interpreter may send a LINE event here too. */
                set_bit(a->restarts, line_slot(a, i->event_line));
            }
        } else if (i->op == MAKE_FUNCTION) {
            PyCodeObject *made = function_made_at(a, k);
            if (made != NULL && code_is_one_liner(made)) {
                a->list[k].defines = true;
                mark_line(a, i->line);
                mark_line(a, code_first_line(made));
                mark_line(a, made->co_firstlineno);
            }
        }
    }
    return !a->decoded.has_long_lines || join_long_lines(a);
}

#endif
