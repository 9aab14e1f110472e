/* contexts/kinds.h - the kinds of contexts that covsup records by itself, and their names.
 *
 * The only list of them. The tracer reads the names in a session's settings by it, and the
 * extension of datafile includes it and gives it to the supervisor, which checks what a user names.
 * Must never know: Python, how a context is recorded. */
#ifndef COVSUP_CONTEXTS_KINDS_H
#define COVSUP_CONTEXTS_KINDS_H

/* For each kind, KIND(its segment_kind, its name). The order is that of messages. */
#define CONTEXT_KINDS(KIND)                                                                        \
    KIND(SEGMENT_TEST_FUNCTION, "test_function")                                                   \
    KIND(SEGMENT_PROCESS, "process")                                                               \
    KIND(SEGMENT_THREAD, "thread")                                                                 \
    KIND(SEGMENT_GREENLET, "greenlet")                                                             \
    KIND(SEGMENT_TASK, "task")                                                                     \
    KIND(SEGMENT_REQUEST, "request")

#endif
