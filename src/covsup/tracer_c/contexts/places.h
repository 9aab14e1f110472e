/* contexts/places.h - the segments that name where code runs: process, thread, greenlet, task.
 *
 * Threads: with an attached thread state.
 * Must never know: what is current, where events come from. */
#ifndef COVSUP_CONTEXTS_PLACES_H
#define COVSUP_CONTEXTS_PLACES_H

#include "contexts/state.h"

/* The segments that code has which runs here and now, if `stored` is what its chain says. `thread`
 * is the name of this thread, borrowed (NULL: none). A tuple, owned, or NULL with an exception set.
 */
PyObject *segments_for_location(contexts *self, PyObject *stored, PyObject *thread);

#endif
