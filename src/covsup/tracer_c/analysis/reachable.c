/* analysis/reachable.c - the lines and arcs that control can reach in a code object (3.11).
 *
 * It follows every path through the bytecode of CPython 3.11 as the trace events do
 * (maybe_call_line_trace() in Python/ceval.c): a line begins where the line changes, after an
 * instruction without a line, and where control jumps back, except to a SEND. Instructions without
 * a line keep the line from which control came.
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

struct reachable {
    bool branch;
    int count, next, room;
    reachable_arc *arcs;
};

/* How many lines control may come from at an instruction without a line; with more, the code is not
 * analysed. */
enum { MAX_ORIGINS = 6 };

typedef struct {
    PyCodeObject *code;
    const uint8_t *bytes;
    int units;
    int *lines;                  /* by unit; 0: none */
    int (*origins)[MAX_ORIGINS]; /* by unit: the lines from which control came; 0 ends the list */
    int *stack;                  /* units to go on from, each with an origin */
    int depth, room;
    reachable *out;
    bool failed;
} search;

static bool
add_reachable(search *s, int from, int to)
{
    reachable *out = s->out;
    if (out->count == out->room) {
        int room = out->room == 0 ? 16 : 2 * out->room;
        reachable_arc *arcs = realloc(out->arcs, (size_t)room * sizeof(*arcs));
        if (arcs == NULL) {
            return false;
        }
        out->arcs = arcs;
        out->room = room;
    }
    out->arcs[out->count++] = (reachable_arc){out->branch ? from : 0, to};
    return true;
}

static int
in_order(const void *one, const void *other)
{
    const reachable_arc *a = one, *b = other;
    return a->to != b->to ? (a->to > b->to) - (a->to < b->to)
                          : (a->from > b->from) - (a->from < b->from);
}

/* Several ways may lead to one arc: keep it once. */
static void
remove_duplicates(reachable *out)
{
    int kept = 0;
    if (out->count > 0) {
        qsort(out->arcs, (size_t)out->count, sizeof(*out->arcs), in_order);
    }
    for (int i = 0; i < out->count; i++) {
        if (kept == 0 || in_order(&out->arcs[kept - 1], &out->arcs[i]) != 0) {
            out->arcs[kept++] = out->arcs[i];
        }
    }
    out->count = kept;
}

/* Control reaches `unit`; `from` is the last line that began. */
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

/* Control goes from `unit` to `to`; `from` is the last line that began. */
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
        /* A resumption has a call event; control then comes from the line of the yield. */
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
            return; /* the event of the exception will record the destination */
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

reachable *
reachable_new(PyCodeObject *code, bool branch)
{
    enum { MAX_UNITS = 1 << 14 };
    PyObject *bytes = PyCode_GetCode(code); /* owned; cached by the code object */
    if (bytes == NULL) {
        PyErr_Clear(); /* without memory the code keeps its events */
        return NULL;
    }
    search s = {
        .code = code,
        .bytes = (const uint8_t *)PyBytes_AS_STRING(bytes),
        .units = (int)(PyBytes_GET_SIZE(bytes) / 2),
        .out = calloc(1, sizeof(reachable)),
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
reachable_free(reachable *self)
{
    if (self != NULL) {
        free(self->arcs);
        free(self);
    }
}

bool
reachable_is_recorded(reachable *self, const source_file *file)
{
    while (self->next < self->count) {
        const reachable_arc *arc = &self->arcs[self->next];
        if (self->branch ? !recorded_has_arc(file, arc->from, arc->to)
                         : !recorded_has_line(file, arc->to)) {
            return false;
        }
        self->next++;
    }
    return true;
}

#endif
