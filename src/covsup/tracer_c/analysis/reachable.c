/* analysis/reachable.c - what a code object may still tell: the lines and arcs that control can
 * reach in it.
 *
 * Follows every path through the bytecode of CPython 3.11 as its trace events do
 * (maybe_call_line_trace() in Python/ceval.c): a line begins where the line changes, after an
 * instruction without a line, and where control jumps back, but not to a SEND. What is on the way
 * without a line keeps the line that control came from.
 *
 * Threads: see analysis/reachable.h. Must never know: events, the journal. */
#include "analysis/reachable.h"

#if !COMPAT_MONITORING

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/line_table.h"

typedef struct {
    int from, to; /* `from` is not used for lines */
} reachable_arc;

struct reach {
    bool branch;
    int count, next, room;
    reachable_arc *facts;
};

/* One that is being made. At an instruction with a line, control came from that line for whatever
 * follows; at one without, from one of a few. */
enum { MAX_ORIGINS = 6 };

typedef struct {
    PyCodeObject *code;
    const uint8_t *bytes;
    int units;
    int *lines;                  /* by unit; 0: none */
    int (*origins)[MAX_ORIGINS]; /* by unit: the lines control came from; 0 ends them */
    int *stack;                  /* units to go on from, each with an origin */
    int depth, room;
    reach *out;
    bool failed;
} search;

static bool
add_reachable(search *s, int from, int to)
{
    reach *out = s->out;
    if (out->count == out->room) {
        int room = out->room == 0 ? 16 : 2 * out->room;
        reachable_arc *facts = realloc(out->facts, (size_t)room * sizeof(*facts));
        if (facts == NULL) {
            return false;
        }
        out->facts = facts;
        out->room = room;
    }
    out->facts[out->count++] = (reachable_arc){out->branch ? from : 0, to};
    return true;
}

static int
in_order(const void *one, const void *other)
{
    const reachable_arc *a = one, *b = other;
    return a->to != b->to ? (a->to > b->to) - (a->to < b->to)
                          : (a->from > b->from) - (a->from < b->from);
}

/* Several ways may lead to one fact: keep it once. */
static void
remove_duplicates(reach *out)
{
    int kept = 0;
    if (out->count > 0) {
        qsort(out->facts, (size_t)out->count, sizeof(*out->facts), in_order);
    }
    for (int i = 0; i < out->count; i++) {
        if (kept == 0 || in_order(&out->facts[kept - 1], &out->facts[i]) != 0) {
            out->facts[kept++] = out->facts[i];
        }
    }
    out->count = kept;
}

/* Control reaches `unit`, the last line that began being `from`. */
static void
arrive(search *s, int unit, int from)
{
    int *origins = s->origins[unit];
    for (int i = 0; i < MAX_ORIGINS; i++) {
        if (origins[i] == from) {
            return;
        }
        if (origins[i] == 0) {
            if (s->depth + 2 > s->room) {
                int room = s->room == 0 ? 64 : 2 * s->room;
                int *stack = realloc(s->stack, (size_t)room * sizeof(int));
                if (stack == NULL) {
                    break;
                }
                s->stack = stack;
                s->room = room;
            }
            origins[i] = from;
            s->stack[s->depth++] = unit;
            s->stack[s->depth++] = from;
            return;
        }
    }
    s->failed = true;
}

/* Control goes from `unit`, the last line being `from`, to `to`. */
static void
follow(search *s, int unit, int from, int to)
{
    if (to < 0 || to >= s->units) {
        s->failed = true;
        return;
    }
    const int start = s->code->_co_firsttraceable;
    uint8_t op = s->bytes[2 * to];
    int line = s->lines[to];
    if (op == RESUME && to != start) {
        /* The event of a resumption: it goes on from its own line. */
        if (line <= 0) {
            s->failed = true;
            return;
        }
        arrive(s, to, line);
        return;
    }
    if (line > 0) {
        int before = unit <= start ? 0 : s->lines[unit];
        if (line != before || (to < unit && op != SEND)) {
            s->failed = s->failed || !add_reachable(s, from, line);
        }
        from = line;
    }
    arrive(s, to, from);
}

static bool
jumps_back(uint8_t op)
{
    switch (op) {
    case JUMP_BACKWARD:
    case JUMP_BACKWARD_NO_INTERRUPT:
    case POP_JUMP_BACKWARD_IF_TRUE:
    case POP_JUMP_BACKWARD_IF_FALSE:
    case POP_JUMP_BACKWARD_IF_NONE:
    case POP_JUMP_BACKWARD_IF_NOT_NONE:
        return true;
    default:
        return false;
    }
}

static bool
jumps_forward(uint8_t op)
{
    switch (op) {
    case JUMP_FORWARD:
    case POP_JUMP_FORWARD_IF_TRUE:
    case POP_JUMP_FORWARD_IF_FALSE:
    case POP_JUMP_FORWARD_IF_NONE:
    case POP_JUMP_FORWARD_IF_NOT_NONE:
    case JUMP_IF_TRUE_OR_POP:
    case JUMP_IF_FALSE_OR_POP:
    case FOR_ITER:
    case SEND:
        return true;
    default:
        return false;
    }
}

static void
leave(search *s, int unit, int from)
{
    uint8_t op = s->bytes[2 * unit];
    switch (op) {
    case RAISE_VARARGS:
        if (PyBytes_GET_SIZE(s->code->co_exceptiontable) > 0) {
            return; /* where it goes is told by whoever is told of the exception */
        }
        /* fall through */
    case RETURN_VALUE:
        if (s->out->branch) {
            s->failed = s->failed || !add_reachable(s, from, -s->code->co_firstlineno);
        }
        return;
    case RERAISE:
        return;
    default:
        break;
    }
    bool back = jumps_back(op);
    if (back || jumps_forward(op)) {
        int oparg = s->bytes[2 * unit + 1];
        for (int shift = 8, u = unit - 1; u >= 0 && s->bytes[2 * u] == EXTENDED_ARG && shift < 32;
             u--, shift += 8) {
            oparg |= (int)((unsigned)s->bytes[2 * u + 1] << shift);
        }
        follow(s, unit, from, unit + 1 + (back ? -oparg : oparg));
        if (op == JUMP_FORWARD || op == JUMP_BACKWARD || op == JUMP_BACKWARD_NO_INTERRUPT) {
            return;
        }
    }
    follow(s, unit, from, unit + 1);
}

static void
read_lines(search *s)
{
    location_reader reader = read_locations(s->code);
    int unit = 0, run, line;
    while (next_location(&reader, &run, &line)) {
        for (; run > 0 && unit < s->units; run--) {
            s->lines[unit++] = line;
        }
    }
}

reach *
reachable_new(PyCodeObject *code, bool branch)
{
    enum { MAX_UNITS = 1 << 14 };
    PyObject *bytes = PyCode_GetCode(code); /* owned; cached by the code object */
    if (bytes == NULL) {
        PyErr_Clear(); /* without memory the events just go on */
        return NULL;
    }
    search s = {
        .code = code,
        .bytes = (const uint8_t *)PyBytes_AS_STRING(bytes),
        .units = (int)(PyBytes_GET_SIZE(bytes) / 2),
        .out = calloc(1, sizeof(reach)),
    };
    if (s.units <= MAX_UNITS && code->co_firstlineno > 0) {
        s.lines = calloc((size_t)s.units, sizeof(*s.lines));
        s.origins = calloc((size_t)s.units, sizeof(*s.origins));
    }
    s.failed = s.out == NULL || s.lines == NULL || s.origins == NULL;
    if (!s.failed) {
        s.out->branch = branch;
        read_lines(&s);
        arrive(&s, code->_co_firsttraceable, -code->co_firstlineno);
        while (s.depth > 0 && !s.failed) {
            s.depth -= 2;
            leave(&s, s.stack[s.depth], s.stack[s.depth + 1]);
        }
        remove_duplicates(s.out);
    }
    free(s.lines);
    free(s.origins);
    free(s.stack);
    Py_DECREF(bytes);
    if (s.failed) {
        reachable_free(s.out);
        return NULL;
    }
    return s.out;
}

void
reachable_free(reach *self)
{
    if (self != NULL) {
        free(self->facts);
        free(self);
    }
}

bool
reachable_is_recorded(reach *self, const source_file *file)
{
    while (self->next < self->count) {
        const reachable_arc *fact = &self->facts[self->next];
        if (self->branch ? !recorded_has_arc(file, fact->from, fact->to)
                         : !recorded_has_line(file, fact->to)) {
            return false;
        }
        self->next++;
    }
    return true;
}

#endif
