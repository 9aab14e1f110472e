/* analysis/bytecode.c - a code object as a list of instructions: their lines, jumps and handlers.
 *
 * Every measured code object is decoded when it first runs, so the loops are kept short. CPython's
 * Objects/exception_handling_notes.txt describes the format of the exception table.
 *
 * Threads, Must never know: see analysis/bytecode.h. */
#include "analysis/bytecode.h"

#if COMPAT_MONITORING

#include <stdlib.h>

#include "analysis/line_table.h"

enum { KIND = 15, LINELESS = 16, NOTABLE = 32 };

/* By opcode: its kind, and whether it is lineless or notable. */
static const uint8_t traits[256] = {
    [FOR_ITER] = BRANCH | NOTABLE,
    [POP_JUMP_IF_FALSE] = BRANCH | NOTABLE,
    [POP_JUMP_IF_TRUE] = BRANCH | NOTABLE,
    [POP_JUMP_IF_NONE] = BRANCH | NOTABLE,
    [POP_JUMP_IF_NOT_NONE] = BRANCH | NOTABLE,
    [SEND] = SENDS | NOTABLE,
    [JUMP_FORWARD] = JUMPS | NOTABLE,
    [JUMP_BACKWARD] = JUMPS | NOTABLE,
    [JUMP_BACKWARD_NO_INTERRUPT] = JUMPS | NOTABLE,
    [RETURN_VALUE] = RETURNS | NOTABLE,
#ifdef RETURN_CONST
    [RETURN_CONST] = RETURNS | NOTABLE,
#endif
    [INTERPRETER_EXIT] = RETURNS | NOTABLE,
    [RAISE_VARARGS] = RAISES | NOTABLE,
    [RERAISE] = RAISES | NOTABLE,
    [GET_ANEXT] = MAY_RAISE | NOTABLE,
    [MAKE_FUNCTION] = MAY_RAISE | NOTABLE,
    [CALL_INTRINSIC_2] = MAY_RAISE | NOTABLE,
    [END_ASYNC_FOR] = MAY_RAISE | NOTABLE | LINELESS,
    [NOP] = SAFE | NOTABLE,
    [POP_TOP] = SAFE,
    [RESUME] = SAFE | LINELESS,
    [RETURN_GENERATOR] = SAFE,
    [PUSH_NULL] = SAFE,
    [PUSH_EXC_INFO] = SAFE,
    [POP_EXCEPT] = SAFE,
    [COPY] = SAFE,
    [SWAP] = SAFE,
    [LOAD_CONST] = SAFE,
    [LOAD_FAST] = SAFE,
    [LOAD_FAST_AND_CLEAR] = SAFE,
    [STORE_FAST] = SAFE,
    [STORE_DEREF] = SAFE,
    [STORE_GLOBAL] = SAFE,
    [MAKE_CELL] = SAFE,
    [COPY_FREE_VARS] = SAFE,
    [END_FOR] = SAFE | LINELESS,
    [END_SEND] = SAFE | LINELESS | NOTABLE,
#if defined(LOAD_CLOSURE) && LOAD_CLOSURE < 256 /* later a pseudo-instruction */
    [LOAD_CLOSURE] = SAFE,
#endif
#ifdef LOAD_FAST_LOAD_FAST
    [LOAD_FAST_LOAD_FAST] = SAFE,
#endif
#ifdef STORE_FAST_STORE_FAST
    [STORE_FAST_STORE_FAST] = SAFE,
#endif
#ifdef STORE_FAST_LOAD_FAST
    [STORE_FAST_LOAD_FAST] = SAFE,
#endif
#ifdef LOAD_FAST_BORROW
    [LOAD_FAST_BORROW] = SAFE,
#endif
#ifdef LOAD_FAST_BORROW_LOAD_FAST_BORROW
    [LOAD_FAST_BORROW_LOAD_FAST_BORROW] = SAFE,
#endif
#ifdef LOAD_SMALL_INT
    [LOAD_SMALL_INT] = SAFE,
#endif
#ifdef LOAD_COMMON_CONSTANT
    [LOAD_COMMON_CONSTANT] = SAFE,
#endif
#ifdef NOT_TAKEN
    [NOT_TAKEN] = SAFE,
#endif
#ifdef POP_ITER
    [POP_ITER] = SAFE | LINELESS,
#endif
};

bool
bytecode_is_lineless(uint8_t op)
{
    return (traits[op] & LINELESS) != 0;
}

/* Reads the lines of a code object, beginning with its RESUME. */
typedef struct {
    location_reader locations;
    int unit, body;
    int resume;
} body_reader;

static body_reader
read_body(PyCodeObject *code)
{
    return (body_reader){read_locations(code), 0, code->_co_firsttraceable, 0};
}

/* The next line after the RESUME, without entries that have no line; 0 at the end. */
static int
next_body_line(body_reader *reader)
{
    int units, line;
    while (next_location(&reader->locations, &units, &line)) {
        int start = reader->unit, end = start + units;
        reader->unit = end;
        if (start <= reader->body && reader->body < end) {
            reader->resume = line;
        }
        if (end > reader->body + COMPAT_RESUME_UNITS && line > 0) {
            return line;
        }
    }
    return 0;
}

int
code_resume_line(PyCodeObject *code)
{
    body_reader reader = read_body(code);
    int line = next_body_line(&reader);
    return line == reader.resume ? line : 0;
}

void
code_line_range(PyCodeObject *code, int *smallest, int *largest)
{
    location_reader reader = read_locations(code);
    int units, line, least = 0, most = 0;
    while (next_location(&reader, &units, &line)) {
        if (line > 0) {
            least = least == 0 || line < least ? line : least;
            most = line > most ? line : most;
        }
    }
    if (least > 0) {
        *smallest = least;
        *largest = most;
    }
}

int
code_first_line(PyCodeObject *code)
{
    body_reader reader = read_body(code);
    return next_body_line(&reader);
}

bool
bytecode_has(const uint8_t *bytes, int units, uint8_t op)
{
    for (int u = 0; u < units; u++) {
        if (bytes[2 * u] == op) {
            return true;
        }
    }
    return false;
}

/* Has `code` compound statements whose instructions have the whole statement's end as their own?
 * (Those of `if`, `while` and `match` do not.) */
static bool
has_blocks(PyCodeObject *code)
{
    PyObject *bytes = PyCode_GetCode(code); /* owned; without specialisation or instrumentation */
    if (bytes == NULL) {
        PyErr_Clear(); /* without memory the answer is no, which only costs events */
        return false;
    }
    const uint8_t *units = (const uint8_t *)PyBytes_AS_STRING(bytes);
    int count = (int)(PyBytes_GET_SIZE(bytes) / 2);
    bool found = bytecode_has(units, count, FOR_ITER) || bytecode_has(units, count, GET_ANEXT) ||
                 bytecode_has(units, count, PUSH_EXC_INFO);
    Py_DECREF(bytes);
    return found;
}

bool
code_is_anonymous(PyCodeObject *code)
{
    return PyUnicode_GET_LENGTH(code->co_name) > 0 && PyUnicode_READ_CHAR(code->co_name, 0) == '<';
}

bool
code_is_type_params_scope(PyCodeObject *code)
{
    static const char prefix[] = "<generic parameters of ";
    if (!code_is_anonymous(code)) {
        return false;
    }
    Py_ssize_t length = PyUnicode_GET_LENGTH(code->co_name);
    for (Py_ssize_t c = 0; c < (Py_ssize_t)sizeof(prefix) - 1; c++) {
        if (c >= length || PyUnicode_READ_CHAR(code->co_name, c) != (Py_UCS4)prefix[c]) {
            return false;
        }
    }
    return true;
}

bool
code_is_one_liner(PyCodeObject *code)
{
    if (code_is_anonymous(code)) {
        return false;
    }
    body_reader reader = read_body(code);
    int first = next_body_line(&reader);
    if (first == 0 || first == reader.resume) {
        return first != 0;
    }
    int last = reader.locations.end_line;
    bool one_line = true;
    for (int line; (line = next_body_line(&reader)) != 0;) {
        if (line > last) { /* a smaller line is the beginning of the same statement */
            return false;
        }
        one_line = one_line && line == first;
        last = reader.locations.end_line > last ? reader.locations.end_line : last;
    }
    return one_line || !has_blocks(code);
}

/* The instructions, their lines, and which of them start a line in the order of the code. */
static void
decode_instructions(decoded_code *self, const uint8_t *bytes)
{
    location_reader reader = read_locations(self->code);
    const int traceable = self->code->_co_firsttraceable, units = self->units;
    int covered = 0, run, line = 0, n = 0, current = -1, smallest = 0, largest = 0;
    for (int u = 0; u < units; n++) {
        int start = u;
        unsigned oparg = 0;
        while (bytes[2 * u] == EXTENDED_ARG && u + 1 < units) {
            oparg = (oparg | bytes[2 * u + 1]) << 8;
            self->index_of[u++] = n;
        }
        self->index_of[u] = n;
        uint8_t op = bytes[2 * u], trait = traits[op];
        oparg |= bytes[2 * u + 1];
        int at = u++;
        while (u < units && bytes[2 * u] == CACHE) {
            self->index_of[u++] = n;
        }
        if (covered <= at) {
            while (covered <= at && next_location(&reader, &run, &line)) {
                covered += run;
            }
            if (line > 0) {
                self->has_long_lines |= reader.end_line > line;
                smallest = smallest == 0 || line < smallest ? line : smallest;
                largest = line > largest ? line : largest;
            }
        }
        self->list[n] = (instruction){
            .start = start,
            .at = at,
            .next = u,
            .line = line,
            .end_line = line > 0 ? reader.end_line : 0,
            .event_line = line,
            .target = -1,
            .handler = -1,
            .oparg = (int)oparg,
            .op = op,
            .kind = trait & KIND,
        };
        if ((trait & NOTABLE) != 0) {
            self->notable[self->n_notable++] = n;
        }
        if (line != current && (trait & LINELESS) == 0 && start >= traceable) {
            self->list[n].starts_line = line > 0;
            current = line;
        }
    }
    self->index_of[units] = n;
    self->count = n;
    self->first_line = smallest;
    self->last_line = largest;
}

static void
decode_jumps(decoded_code *self)
{
    instruction *list = self->list;
    for (int m = 0; m < self->n_notable; m++) {
        instruction *i = &list[self->notable[m]];
        if (i->kind == BRANCH || i->kind == SENDS || i->kind == JUMPS) {
            bool back = i->op == JUMP_BACKWARD || i->op == JUMP_BACKWARD_NO_INTERRUPT;
            long long unit = i->next + (back ? -(long long)i->oparg : (long long)i->oparg);
            if (unit >= 0 && unit < self->units) {
                i->target = self->index_of[unit];
                /* A jump starts a line too; FOR_ITER and SEND pass the END_FOR or END_SEND. */
                int starts = i->target + (i->op == FOR_ITER || i->op == SEND);
                if (starts < self->count && !bytecode_is_lineless(list[starts].op)) {
                    list[starts].starts_line = true;
                }
            }
        }
    }
}

static void
decode_handlers(decoded_code *self)
{
    const uint8_t *p = (const uint8_t *)PyBytes_AS_STRING(self->code->co_exceptiontable);
    const uint8_t *end = p + PyBytes_GET_SIZE(self->code->co_exceptiontable);
    int covered = 0;
    while (p < end) {
        unsigned field[4] = {0}; /* start, length and target, in units; depth and lasti */
        const unsigned units = (unsigned)self->units;
        for (int f = 0; f < 4 && p < end; f++) {
            field[f] = *p & 63;
            while ((*p++ & 64) != 0 && p < end) {
                field[f] = (field[f] << 6) | (*p & 63);
            }
        }
        /* The interpreter finds entries by bisection, so they are in order and do not overlap. A
         * table made by hand need not keep to that. */
        if (field[0] >= units || field[1] > units - field[0] || field[2] >= units ||
            field[0] < (unsigned)covered) {
            break;
        }
        covered = (int)(field[0] + field[1]);
        int handler = self->index_of[field[2]];
        self->list[handler].is_handler = true;
        if (self->list[handler].op != END_ASYNC_FOR) {
            self->list[handler].starts_line = true;
        }
        int last = field[1] > 0 ? self->index_of[field[0] + field[1] - 1] : -1;
        for (int k = self->index_of[field[0]]; k <= last; k++) {
            self->list[k].handler = handler;
        }
    }
}

bool
bytecode_decode(decoded_code *self, PyCodeObject *code, const uint8_t *bytes, int units)
{
    size_t most = (size_t)units + 1;
    *self = (decoded_code){.code = code, .units = units};
    self->list = malloc(most * (sizeof(instruction) + 2 * sizeof(int)));
    if (self->list == NULL) {
        return false;
    }
    self->index_of = (int *)(void *)(self->list + most);
    self->notable = self->index_of + most;
    decode_instructions(self, bytes);
    decode_jumps(self);
    decode_handlers(self);
    return true;
}

void
bytecode_free(decoded_code *self)
{
    free(self->list);
    self->list = NULL;
}

#endif
