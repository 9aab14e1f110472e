/* analysis/bytecode.h - a code object as a list of instructions: their lines, jumps and handlers.
 *
 * Threads: pure, but for the memory it allocates. Must never know: what is made of it. */
#ifndef COVSUP_ANALYSIS_BYTECODE_H
#define COVSUP_ANALYSIS_BYTECODE_H

#include <stdbool.h>
#include <stdint.h>

#include "cpython/compat.h"

typedef enum {
    MAY_RAISE, /* anything not known to be one of the others */
    SAFE,      /* cannot raise, goes on to the next */
    BRANCH,    /* conditional jump, with events of its own */
    SENDS,     /* goes to its target when the awaited is done */
    JUMPS,
    RETURNS,
    RAISES,
} instruction_kind;

typedef struct {
    int start;      /* unit of the first EXTENDED_ARG, or of the opcode */
    int at;         /* unit of the opcode */
    int next;       /* unit after its caches */
    int line;       /* 0: none; where a report makes several one, the first of them */
    int end_line;   /* on which the expression or statement ends that it belongs to; 0: none */
    int event_line; /* of its LINE event */
    int target;     /* index of the instruction jumped to, or -1 */
    int handler;    /* index of the instruction that handles what it raises, or -1 */
    int oparg;
    int told; /* its LINE event tells that control came from this line; 0: it does not */
    uint8_t op;
    uint8_t kind;
    bool is_handler;
    bool starts_line;      /* the interpreter sends LINE events here */
    bool records_own_exit; /* a return or raise after a branch whose event does not tell of it */
    bool step;             /* its INSTRUCTION event tells something already */
    bool defines;          /* it makes a function or class whose body stands on one line */
} instruction;

typedef struct {
    PyCodeObject *code; /* borrowed */
    instruction *list;  /* one allocation with the two that follow */
    int *index_of;      /* unit -> instruction */
    int *notable;       /* the instructions that may tell anything but their lines, in order */
    int count, units, n_notable;
    int first_line, last_line; /* the smallest and the largest; 0: there are none */
    bool has_long_lines;       /* an expression or statement stands on more than one line */
} decoded_code;

/* Decode `code`, whose bytecode is `bytes` (as of PyCode_GetCode). False: out of memory. */
bool bytecode_decode(decoded_code *self, PyCodeObject *code, const uint8_t *bytes, int units);

void bytecode_free(decoded_code *self);

/* Instructions that never start a line for the interpreter, nor change the line that it compares
 * the next one with (Python/instrumentation.c, initialize_lines). */
bool bytecode_is_lineless(uint8_t op);

/* Whether `code` has an instruction `op` in its `bytes`. */
bool bytecode_has(const uint8_t *bytes, int units, uint8_t op);

/* The smallest and the largest line in `code`; both stay as they are where it has none. */
void code_line_range(PyCodeObject *code, int *smallest, int *largest);

/* The first line that runs in `code`, but for its RESUME; 0: there is none. */
int code_first_line(PyCodeObject *code);

/* Is it that of no function or class with a name, but of a lambda, a comprehension, a module? */
bool code_is_anonymous(PyCodeObject *code);

/* Does `code` make the type parameters of a function or class, which it then defines (PEP 695)? */
bool code_is_type_params_scope(PyCodeObject *code);

/* Does the body of `code` stand on one line, perhaps that of its own definition? A report then
 * counts leaving it as an exit of that line. (A line ends where brackets are closed.) */
bool code_is_one_liner(PyCodeObject *code);

#endif
