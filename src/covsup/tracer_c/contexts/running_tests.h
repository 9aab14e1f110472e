/* contexts/running_tests.h - the segment of the test that code belongs to.
 *
 * Threads: with an attached thread state.
 * Must never know: where events come from, what is recorded. */
#ifndef COVSUP_CONTEXTS_RUNNING_TESTS_H
#define COVSUP_CONTEXTS_RUNNING_TESTS_H

#include "contexts/state.h"

/* Whether the test of a segment has not ended. */
bool test_is_running(contexts *self, PyObject *segment);

/* A test starts: code that belongs to no running test belongs to it from now on. -1: exception set.
 */
int test_start(contexts *self, PyObject *segment);

/* It ends, or is suspended. The current exception stays. */
void test_end(contexts *self, PyObject *segment);

/* The segments with the tests that they belong to now. Steals `segments`. New reference, or NULL
 * with an exception set; NULL gives NULL. */
PyObject *segments_with_tests(contexts *self, PyObject *segments);

#endif
