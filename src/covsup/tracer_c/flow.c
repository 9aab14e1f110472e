/* flow.c - what the events of one code object tell about branches.
 *
 * A branch event names two offsets; a report wants two lines. The destination is followed to
 * where its line begins, but only over instructions that cannot raise: past one that can, the
 * line may never be reached (`for a, b in [1]` enters its body in the event's eyes and raises).
 * There the arc is taken from the LINE event of the destination instead, where the instructions
 * that lead to it leave one way to get there.
 *
 * Formats: the location table is that of CPython's Objects/locations.md (3.11 to 3.15), the
 * exception table that of Objects/exception_handling_notes.txt.
 *
 * Threads: pure, but for the memory it allocates. Must never know: events, files, the journal. */
#include "flow.h"

#include <stdlib.h>
#include <string.h>

#if COMPAT_MONITORING

typedef enum {
    MAY_RAISE, /* anything not named below */
    SAFE,      /* cannot raise, goes on to the next */
    BRANCH,    /* conditional jump, with events of its own */
    SENDS,     /* goes to its target when the awaited is done */
    JUMPS,
    RETURNS,
    RAISES,
} kind;

typedef struct {
    int start;   /* unit of the first EXTENDED_ARG, or of the opcode */
    int at;      /* unit of the opcode */
    int next;    /* unit after its caches */
    int line;    /* 0: none */
    int target;  /* index of the instruction jumped to, or -1 */
    int handler; /* index of the instruction that handles what it raises, or -1 */
    int awaited; /* of END_ASYNC_FOR (3.14): index of the END_SEND that its events name; or -1 */
    int oparg;
    int told; /* its LINE event tells that control came from this line; 0: it does not */
    uint8_t op;
    uint8_t kind;
    bool is_handler;
    bool starts_line; /* the interpreter sends LINE events here */
    bool ends_itself; /* a return or raise after a branch whose event does not tell of it */
    bool step;        /* its INSTRUCTION event tells something already */
} instruction;

typedef struct {
    PyCodeObject *code;
    instruction *list;
    int count;
    int *entered_head; /* per instruction: first in `entered_next` of the jumps into it, or -1 */
    int *entered_next; /* per instruction: the next one that jumps to the same place */
    uint8_t *lines;    /* bitmap from first_line on: the lines from which branches leave */
    int first_line, last_line;
    uint8_t *visited;
    int *stack;
    flow *out;
} analysis;

enum { AMBIGUOUS = -1, UNREACHED = 0, MAX_CHAIN = 16 };

static kind
kind_of(uint8_t op)
{
    switch (op) {
    case FOR_ITER:
    case POP_JUMP_IF_FALSE:
    case POP_JUMP_IF_TRUE:
    case POP_JUMP_IF_NONE:
    case POP_JUMP_IF_NOT_NONE:
        return BRANCH;
    case SEND:
        return SENDS;
    case JUMP_FORWARD:
    case JUMP_BACKWARD:
    case JUMP_BACKWARD_NO_INTERRUPT:
        return JUMPS;
    case RETURN_VALUE:
#ifdef RETURN_CONST
    case RETURN_CONST:
#endif
    case INTERPRETER_EXIT:
        return RETURNS;
    case RAISE_VARARGS:
    case RERAISE:
        return RAISES;
    case NOP:
    case POP_TOP:
    case RESUME:
    case RETURN_GENERATOR:
    case PUSH_NULL:
    case PUSH_EXC_INFO:
    case POP_EXCEPT:
    case COPY:
    case SWAP:
    case LOAD_CONST:
    case LOAD_FAST:
    case LOAD_FAST_AND_CLEAR:
    case STORE_FAST:
    case STORE_DEREF:
    case STORE_GLOBAL:
    case MAKE_CELL:
    case COPY_FREE_VARS:
    case END_FOR:
    case END_SEND:
#ifdef LOAD_CLOSURE
#if PY_VERSION_HEX < 0x030D0000
    case LOAD_CLOSURE:
#endif
#endif
#ifdef LOAD_FAST_LOAD_FAST
    case LOAD_FAST_LOAD_FAST:
#endif
#ifdef STORE_FAST_STORE_FAST
    case STORE_FAST_STORE_FAST:
#endif
#ifdef STORE_FAST_LOAD_FAST
    case STORE_FAST_LOAD_FAST:
#endif
#ifdef LOAD_FAST_BORROW
    case LOAD_FAST_BORROW:
#endif
#ifdef LOAD_FAST_BORROW_LOAD_FAST_BORROW
    case LOAD_FAST_BORROW_LOAD_FAST_BORROW:
#endif
#ifdef LOAD_SMALL_INT
    case LOAD_SMALL_INT:
#endif
#ifdef LOAD_COMMON_CONSTANT
    case LOAD_COMMON_CONSTANT:
#endif
#ifdef NOT_TAKEN
    case NOT_TAKEN:
#endif
#ifdef POP_ITER
    case POP_ITER:
#endif
        return SAFE;
    default:
        return MAY_RAISE;
    }
}

static bool
falls_through(const instruction *i)
{
    return i->kind != JUMPS && i->kind != RETURNS && i->kind != RAISES;
}

/* Location table: one entry covers some code units. */

static unsigned
read_varint(const uint8_t **p, const uint8_t *end)
{
    unsigned value = 0;
    for (int shift = 0; *p < end && shift < 30; shift += 6) {
        unsigned byte = *(*p)++;
        value |= (byte & 63) << shift;
        if ((byte & 64) == 0) {
            break;
        }
    }
    return value;
}

typedef struct {
    const uint8_t *p, *end;
    int line; /* of the last entry that had one */
} location_reader;

static location_reader
read_locations(PyCodeObject *code)
{
    const uint8_t *p = (const uint8_t *)PyBytes_AS_STRING(code->co_linetable);
    return (location_reader){p, p + PyBytes_GET_SIZE(code->co_linetable), code->co_firstlineno};
}

/* Sets the number of units and the line (0: none) of the next entry; false at the end. */
static bool
next_location(location_reader *reader, int *units, int *line)
{
    if (reader->p >= reader->end) {
        return false;
    }
    unsigned first = *reader->p++;
    unsigned code = (first >> 3) & 15;
    *units = (int)(first & 7) + 1;
    if (code == 15) {
        *line = 0;
    } else {
        if (code == 13 || code == 14) {
            unsigned delta = read_varint(&reader->p, reader->end);
            reader->line += (delta & 1) ? -(int)(delta >> 1) : (int)(delta >> 1);
        } else if (code >= 10) {
            reader->line += (int)code - 10;
        }
        *line = reader->line;
    }
    while (reader->p < reader->end && (*reader->p & 128) == 0) {
        reader->p++; /* columns and end lines, which are of no interest here */
    }
    return true;
}

/* The first line that runs in `code` and the last one, by the units after its RESUME. */
static void
body_lines(PyCodeObject *code, int *resume, int *first, int *smallest, int *largest)
{
    location_reader reader = read_locations(code);
    int unit = 0, units, line;
    *resume = *first = *smallest = *largest = 0;
    while (next_location(&reader, &units, &line)) {
        int end = unit + units;
        if (unit <= code->_co_firsttraceable && code->_co_firsttraceable < end) {
            *resume = line;
            unit = code->_co_firsttraceable + 1;
        }
        if (unit > code->_co_firsttraceable && unit < end && line > 0) {
            if (*first == 0) {
                *first = line;
            }
            if (*smallest == 0 || line < *smallest) {
                *smallest = line;
            }
            if (line > *largest) {
                *largest = line;
            }
        }
        unit = end;
    }
}

int
flow_resume_line(PyCodeObject *code)
{
    location_reader reader = read_locations(code);
    int unit = 0, units, line, resume = 0;
    while (next_location(&reader, &units, &line)) {
        int end = unit + units;
        if (unit <= code->_co_firsttraceable && code->_co_firsttraceable < end) {
            resume = line;
            unit = code->_co_firsttraceable + COMPAT_RESUME_UNITS;
        }
        if (unit >= code->_co_firsttraceable + COMPAT_RESUME_UNITS && unit < end && line > 0) {
            return line == resume ? line : 0;
        }
        unit = end;
    }
    return 0;
}

/* Does the body of `code` stand on one line, perhaps that of its own definition? A report then
 * counts leaving it as an exit of that line. */
static bool
is_one_liner(PyCodeObject *code)
{
    const Py_UCS4 lambda_or_comprehension = '<';
    if (PyUnicode_GET_LENGTH(code->co_name) > 0 &&
        PyUnicode_READ_CHAR(code->co_name, 0) == lambda_or_comprehension) {
        return false;
    }
    int resume, first, smallest, largest;
    body_lines(code, &resume, &first, &smallest, &largest);
    return first > 0 && (first == resume || smallest == largest);
}

static int
decode(analysis *a, const uint8_t *bytes, int units)
{
    int *index_of = malloc(((size_t)units + 1) * sizeof(int)); /* unit -> instruction */
    if (index_of == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    location_reader reader = read_locations(a->code);
    int covered = 0, run, line = 0, n = 0;
    a->first_line = 0;
    for (int u = 0; u < units; n++) {
        instruction *i = &a->list[n];
        int oparg = 0;
        i->start = u;
        while (bytes[2 * u] == EXTENDED_ARG && u + 1 < units) {
            oparg = (oparg | bytes[2 * u + 1]) << 8;
            index_of[u++] = n;
        }
        index_of[u] = n;
        i->at = u;
        i->op = bytes[2 * u];
        i->oparg = oparg | bytes[2 * u + 1];
        i->kind = (uint8_t)kind_of(i->op);
        i->target = i->handler = i->awaited = -1;
        i->told = 0;
        i->is_handler = i->starts_line = i->ends_itself = i->step = false;
        u++;
        while (u < units && bytes[2 * u] == CACHE) {
            index_of[u++] = n;
        }
        i->next = u;
        while (covered <= i->at && next_location(&reader, &run, &line)) {
            covered += run;
        }
        i->line = line;
        if (line > 0) {
            if (a->first_line == 0 || line < a->first_line) {
                a->first_line = line;
            }
            if (line > a->last_line) {
                a->last_line = line;
            }
        }
    }
    index_of[units] = n;
    a->count = n;
    for (int k = 0; k < n; k++) {
        instruction *i = &a->list[k];
        if (i->kind == BRANCH || i->kind == SENDS || i->kind == JUMPS) {
            bool back = i->op == JUMP_BACKWARD || i->op == JUMP_BACKWARD_NO_INTERRUPT;
            int unit = i->next + (back ? -i->oparg : i->oparg);
            if (unit >= 0 && unit < units) {
                i->target = index_of[unit];
            }
        } else if (COMPAT_BRANCH_SIDES && i->op == END_ASYNC_FOR && i->next >= i->oparg) {
            i->awaited = index_of[i->next - i->oparg];
        }
    }

    const uint8_t *p = (const uint8_t *)PyBytes_AS_STRING(a->code->co_exceptiontable);
    const uint8_t *end = p + PyBytes_GET_SIZE(a->code->co_exceptiontable);
    while (p < end) {
        int field[4]; /* start, length, target in units; depth and lasti */
        for (int f = 0; f < 4 && p < end; f++) {
            field[f] = *p & 63;
            while ((*p++ & 64) != 0 && p < end) {
                field[f] = (field[f] << 6) | (*p & 63);
            }
        }
        if (field[0] < 0 || field[0] + field[1] > units || field[2] >= units) {
            break;
        }
        int handler = index_of[field[2]];
        a->list[handler].is_handler = true;
        for (int u = field[0]; u < field[0] + field[1]; u++) {
            a->list[index_of[u]].handler = handler;
        }
    }
    free(index_of);
    return 0;
}

static void
link_jumps(analysis *a)
{
    for (int k = 0; k < a->count; k++) {
        a->entered_head[k] = -1;
    }
    for (int k = 0; k < a->count; k++) {
        int target = a->list[k].target;
        if (target >= 0) {
            a->entered_next[k] = a->entered_head[target];
            a->entered_head[target] = k;
        }
    }
}

/* Instructions that never start a line for the interpreter, nor change the line that it compares
 * the next one with (Python/instrumentation.c, initialize_lines). */
static bool
is_lineless(uint8_t op)
{
    switch (op) {
    case END_ASYNC_FOR:
    case END_FOR:
    case END_SEND:
    case RESUME:
#ifdef POP_ITER
    case POP_ITER:
#endif
        return true;
    default:
        return false;
    }
}

/* Find the instructions to which the interpreter attaches LINE events. */
static void
find_line_starts(analysis *a)
{
    int current = -1;
    for (int k = 0; k < a->count; k++) {
        instruction *i = &a->list[k];
        if (i->start >= a->code->_co_firsttraceable && !is_lineless(i->op)) {
            i->starts_line = i->line > 0 && i->line != current;
            current = i->line;
        }
    }
    for (int k = 0; k < a->count; k++) {
        const instruction *i = &a->list[k];
        int target = i->target;
        if (target >= 0 && (i->op == FOR_ITER || i->op == SEND)) {
            target++; /* past the END_FOR or END_SEND */
        }
        if (target >= 0 && target < a->count && !is_lineless(a->list[target].op)) {
            a->list[target].starts_line = true;
        }
        if (i->is_handler && i->op != END_ASYNC_FOR) {
            a->list[k].starts_line = true;
        }
    }
}

static void
mark_line(analysis *a, int line)
{
    if (line >= a->first_line && line <= a->last_line && line > 0) {
        int bit = line - a->first_line;
        a->lines[bit / 8] |= (uint8_t)(1 << (bit % 8));
    }
}

static bool
is_marked(const analysis *a, int line)
{
    if (line < a->first_line || line > a->last_line) {
        return false;
    }
    int bit = line - a->first_line;
    return (a->lines[bit / 8] >> (bit % 8)) & 1;
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
    for (int k = 0; k < a->count; k++) {
        const instruction *i = &a->list[k];
        if (i->kind == BRANCH || i->op == GET_ANEXT || i->op == END_ASYNC_FOR ||
            i->op == NOP) { /* what is left of `while True`, whose else counts as an exit */
            mark_line(a, i->line);
            if (i->op == FOR_ITER) {
                mark_loop_target(a, k + 1);
            }
        } else if (i->op == END_SEND) {
            mark_loop_target(a, k + 1);
        } else if (i->op == MAKE_FUNCTION) {
            PyCodeObject *made = function_made_at(a, k);
            if (made != NULL && is_one_liner(made)) {
                int resume, first, smallest, largest;
                body_lines(made, &resume, &first, &smallest, &largest);
                mark_line(a, i->line);
                mark_line(a, first);
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

/* Running instruction `k` for the first time tells the arc (line, to). */
static void
add_step(analysis *a, int k, int line, int to)
{
    instruction *i = &a->list[k];
    if (!i->step) {
        i->step = true;
        a->out->steps[a->out->n_steps++] = (flow_step){i->start * 2, line, to};
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
    a->out->targets[a->out->n_targets++] = (flow_target){i->start * 2, from};
    a->out->target_lines |= UINT64_C(1) << (i->line % 64);
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
        } else if (i->kind == SAFE) {
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

/* Where control goes on a new line after reaching instruction `k` from `line`: what facts_arc
 * wants, or 0 where no event is needed or nothing is certain. */
static int
follow(analysis *a, int k, int line)
{
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
            if (i->told == 0 && i->starts_line && first_entered_from(a, k, line)) {
                add_target(a, k, line);
            } else if (sure != k) {
                add_step(a, sure, line, i->line);
            }
            return 0;
        }
        switch ((kind)i->kind) {
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
            certain = false;
            sure = ++k;
            break;
        case SAFE:
            if (sure == k && is_lineless(i->op)) {
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
    for (int k = 1; k < a->count; k++) {
        const instruction *i = &a->list[k];
        if (i->starts_line && i->line > 0) {
            int from = line_before(a, k, 0);
            if (from > 0 && from != i->line && is_marked(a, from)) {
                add_target(a, k, from);
            }
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
        a->out->branches[a->out->n_branches++] =
            (flow_branch){offset, next, line, falls_to, jumps_to, false, false};
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
    for (int k = 0; k < a->count; k++) {
        const instruction *i = &a->list[k];
        int line = i->line > 0 ? i->line : line_before(a, k, 0);
        if (line <= 0) {
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
            } else if (i->awaited >= 0) {
                add_outcomes(a, a->list[i->awaited].at * 2, 0, line, 0, to);
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
    for (int k = 0; k < a->count; k++) {
        PyCodeObject *made = a->list[k].op == MAKE_FUNCTION ? function_made_at(a, k) : NULL;
        if (made == NULL || !is_one_liner(made)) {
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
                last = is_lineless(i->op) ? last : p;
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
    for (int k = 0; k < a->count && COMPAT_BRANCH_SIDES; k++) {
        const instruction *i = &a->list[k];
        if (i->op == FOR_ITER && i->target >= 0 && i->line > 0) {
            int t = i->target;
            while (t < a->count && is_lineless(a->list[t].op)) {
                t++;
            }
            if (t < a->count && !a->list[t].starts_line && a->list[t].line > 0 &&
                a->list[t].line != i->line) {
                add_branch(a, i, i->line, 0, a->list[t].line);
            }
        }
    }
}

/* Returns and raises on the line of the branch that leads to them. */
static void
find_ends(analysis *a)
{
    bool one_liner = is_one_liner(a->code);
    for (int k = 0; k < a->count; k++) {
        const instruction *i = &a->list[k];
        if (i->line <= 0) {
            continue;
        }
        if (i->kind == RETURNS && (one_liner || i->ends_itself || is_marked(a, i->line))) {
            a->out->returns[a->out->n_returns++] =
                (flow_step){i->at * 2, i->line, -a->code->co_firstlineno};
        } else if (i->kind == RAISES && i->ends_itself) {
            int to = handler_line(a, i->handler);
            if (to != 0 && to != i->line) {
                add_step(a, k, i->line, to);
            }
        }
    }
}

static int
by_offset(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b; /* offset is the first member of all of them */
}

void
flow_free(flow *self)
{
    if (self != NULL) {
        free(self->targets);
        free(self->branches);
        free(self->returns);
        free(self->steps);
        free(self);
    }
}

/* Give back what an array was allocated too large; keeps NULL for empty ones. */
static void *
shrink(void *array, int count, size_t size)
{
    if (count == 0) {
        free(array);
        return NULL;
    }
    void *smaller = realloc(array, (size_t)count * size);
    return smaller != NULL ? smaller : array;
}

flow *
flow_new(PyCodeObject *code, bool branches)
{
    PyObject *bytes = PyCode_GetCode(code); /* owned; without specialisation or instrumentation */
    if (bytes == NULL) {
        return NULL;
    }
    analysis a = {.code = code};
    flow *result = NULL;
    int units = (int)(PyBytes_GET_SIZE(bytes) / 2);
    size_t most = (size_t)units + 1;

    a.list = malloc(most * sizeof(instruction));
    a.out = calloc(1, sizeof(flow));
    if (a.list == NULL || a.out == NULL) {
        PyErr_NoMemory();
        goto done;
    }
    if (decode(&a, (const uint8_t *)PyBytes_AS_STRING(bytes), units) < 0) {
        goto done;
    }
    most = (size_t)a.count + 1;
    a.entered_head = malloc(most * sizeof(int));
    a.entered_next = malloc(most * sizeof(int));
    a.stack = malloc(most * sizeof(int));
    a.visited = calloc(most, 1);
    a.lines = calloc((size_t)(a.last_line - a.first_line) / 8 + 1, 1);
    a.out->targets = malloc(most * sizeof(flow_target));
    a.out->branches = malloc(3 * most * sizeof(flow_branch));
    a.out->returns = malloc(most * sizeof(flow_step));
    a.out->steps = malloc(most * sizeof(flow_step));
    if (a.entered_head == NULL || a.entered_next == NULL || a.stack == NULL || a.visited == NULL ||
        a.lines == NULL || a.out->targets == NULL || a.out->branches == NULL ||
        a.out->returns == NULL || a.out->steps == NULL) {
        PyErr_NoMemory();
        goto done;
    }

    link_jumps(&a);
    find_line_starts(&a);
    if (branches) {
        mark_branch_lines(&a);
    }
    if (branches) {
        find_targets(&a);
        find_branches(&a);
        find_definition_ends(&a);
        find_ends(&a);
    } else {
        find_silent_lines(&a);
    }
    /* Found in order, but for what branches added. */
    qsort(a.out->targets, (size_t)a.out->n_targets, sizeof(flow_target), by_offset);
    qsort(a.out->branches, (size_t)a.out->n_branches, sizeof(flow_branch), by_offset);
    qsort(a.out->steps, (size_t)a.out->n_steps, sizeof(flow_step), by_offset);
    a.out->targets = shrink(a.out->targets, a.out->n_targets, sizeof(flow_target));
    a.out->branches = shrink(a.out->branches, a.out->n_branches, sizeof(flow_branch));
    a.out->returns = shrink(a.out->returns, a.out->n_returns, sizeof(flow_step));
    a.out->steps = shrink(a.out->steps, a.out->n_steps, sizeof(flow_step));
    result = a.out;
    a.out = NULL;

done:
    flow_free(a.out);
    free(a.list);
    free(a.entered_head);
    free(a.entered_next);
    free(a.stack);
    free(a.visited);
    free(a.lines);
    Py_DECREF(bytes);
    return result;
}

/* The entry at `offset` in an array of structures that begin with their offset. */
static void *
find_offset(void *array, int count, size_t size, int offset)
{
    int low = 0, high = count;
    while (low < high) {
        int middle = (low + high) / 2;
        void *entry = (char *)array + (size_t)middle * size;
        int at = *(int *)entry;
        if (at == offset) {
            return entry;
        }
        if (at < offset) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return NULL;
}

const flow_target *
flow_target_at(const flow *self, int offset)
{
    return find_offset(self->targets, self->n_targets, sizeof(flow_target), offset);
}

flow_branch *
flow_branch_at(const flow *self, int offset)
{
    return find_offset(self->branches, self->n_branches, sizeof(flow_branch), offset);
}

const flow_step *
flow_return_at(const flow *self, int offset)
{
    return find_offset(self->returns, self->n_returns, sizeof(flow_step), offset);
}

const flow_step *
flow_step_at(const flow *self, int offset)
{
    return find_offset(self->steps, self->n_steps, sizeof(flow_step), offset);
}

#endif
