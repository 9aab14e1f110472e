/* contexts/kinds.h - the kinds of contexts that covsup records by itself, and their names.
 *
 * The only list of them. The tracer reads the names in a session's settings by it, and the
 * extension of datafile includes it and gives it to the supervisor, which checks what a user names.
 * Must never know: Python, how a context is recorded. */
#ifndef COVSUP_CONTEXTS_KINDS_H
#define COVSUP_CONTEXTS_KINDS_H

/* What a segment names. The first four are places in which code runs. Code that is started from a
 * place runs in another one, so it does not inherit them. The process comes first in a label. */
typedef enum {
    SEGMENT_PROCESS,
    SEGMENT_THREAD,
    SEGMENT_GREENLET,
    SEGMENT_TASK,
    SEGMENT_REQUEST,
    SEGMENT_TEST_FUNCTION,
    SEGMENT_PLUGIN,                /* of a dynamic-context plugin of coverage.py's */
    SEGMENT_INHERITED,             /* the context in which this process was started */
    SEGMENT_SWITCHED,              /* by embed.switch_context() */
    SEGMENT_OWN,                   /* by embed.context() */
    SEGMENT_TEST,                  /* as a test runner's plugin names it */
    SEGMENT_ADOPTED_TEST,          /* the running test, for code that belongs to no other test */
    SEGMENT_ADOPTED_TEST_FUNCTION, /* the same */
} segment_kind;

#define KIND_BIT(kind) (1u << (kind))

/* For each kind, KIND(its segment_kind, its name). The order is that of messages. */
#define CONTEXT_KINDS(KIND)                                                                        \
    KIND(SEGMENT_TEST_FUNCTION, "test_function")                                                   \
    KIND(SEGMENT_PROCESS, "process")                                                               \
    KIND(SEGMENT_THREAD, "thread")                                                                 \
    KIND(SEGMENT_GREENLET, "greenlet")                                                             \
    KIND(SEGMENT_TASK, "task")                                                                     \
    KIND(SEGMENT_REQUEST, "request")

#endif
