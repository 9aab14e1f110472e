/* analysis/bytecode.h - a code object as a list of instructions: their lines, jumps and handlers.
 *
 * A unit is two bytes of bytecode, as in CPython; f_lasti and the offsets of events are in bytes.
 *
 * Threads: with an attached thread state; it changes no shared data.
 * Must never know: what the instructions are analysed for. */
#ifndef COVSUP_ANALYSIS_BYTECODE_H
#define COVSUP_ANALYSIS_BYTECODE_H

#include <stdbool.h>
#include <stdint.h>

#include "cpython/compat.h"

typedef enum {
    MAY_RAISE, /* anything not known to be one of the others */
    SAFE,      /* cannot raise, and goes on to the next instruction */
    BRANCH,    /* a conditional jump with branch events */
    SENDS,     /* SEND: jumps to its target once the awaited object is done */
    JUMPS,
    RETURNS,
    RAISES,
} instruction_kind;

typedef struct {
    int start;      /* unit of the first EXTENDED_ARG, or of the opcode */
    int at;         /* unit of the opcode */
    int next;       /* unit after its caches */
    int line;       /* 0: none; of an expression that a report counts as one line, the first line */
    int end_line;   /* the last line of its expression or statement; 0: none */
    int event_line; /* the line of its LINE event */
    int target;     /* index of the instruction jumped to, or -1 */
    int handler;    /* index of the instruction that handles what it raises, or -1 */
    int oparg;
    int arc_from; /* its LINE event implies that control came from this line; 0: it implies no arc;
                   * -1: another arc belongs to that event */
    uint8_t op;
    uint8_t kind;
    bool is_handler;
    bool starts_line;         /* the interpreter sends LINE events here */
    bool records_own_exit;    /* a return or raise that the branch before it does not imply */
    bool has_instruction_arc; /* an instruction_arc belongs to it already */
    bool defines;             /* it makes a function or class whose body is on one line */
} instruction;

typedef struct {
    PyCodeObject *code; /* borrowed */
    instruction *list;  /* one allocation with the two that follow */
    int *index_of;      /* unit -> instruction */
    int *notable;       /* the instructions that may imply more than their lines, in order */
    int count, units, n_notable;
    int first_line, last_line; /* the smallest and the largest; 0: there are none */
    bool has_long_lines;       /* an expression or statement is on more than one line */
} decoded_code;

/* Decode `code`, whose bytecode is `bytes` (as of PyCode_GetCode). False: out of memory. */
bool bytecode_decode(decoded_code *self, PyCodeObject *code, const uint8_t *bytes, int units);

void bytecode_free(decoded_code *self);

/* Instructions that never start a line for the interpreter, and leave the line with which it
 * compares the next instruction's (Python/instrumentation.c, initialize_lines). */
bool bytecode_is_lineless(uint8_t op);

/* Has the bytecode an instruction `op`? */
bool bytecode_has(const uint8_t *bytes, int units, uint8_t op);

/* The smallest and the largest line of `code`; both stay as they are where it has none. */
void code_line_range(PyCodeObject *code, int *smallest, int *largest);

/* The first line that runs in `code` after its RESUME; 0: there is none. */
int code_first_line(PyCodeObject *code);

/* The line of the first statement, if the RESUME has it too, as in `class A: x = 1`; else 0.
 * On 3.13 to 3.15 such a line has no LINE event (https://github.com/python/cpython/issues/155992).
 */
int code_resume_line(PyCodeObject *code);

/* Is `code` that of a lambda, a comprehension or a module, and not of a named function or class? */
bool code_is_anonymous(PyCodeObject *code);

/* Does `code` make the type parameters of a function or class and then define that (PEP 695)? */
bool code_is_type_params_scope(PyCodeObject *code);

/* Is the body of `code` on one line, perhaps that of its definition? A report then counts leaving
 * it as an exit of that line. (For a report, a line goes on until its brackets are closed.) */
bool code_is_one_liner(PyCodeObject *code);

#endif
