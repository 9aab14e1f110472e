/* monitoring/fired_events.h - events that C code fires for functions of its own.
 *
 * From 3.13 on C code may fire events of sys.monitoring (PyMonitoring_FirePyStartEvent() and
 * others) for code objects that no frame executes; Cython does with linetrace. The running frame is
 * then that of the Python code which called the C code, and its position has nothing to do with the
 * event. CPython gives such events to trace functions with that frame, and without the code object.
 *
 * Threads: with the GIL. Must never know: how lines are recorded. */
#ifndef COVSUP_MONITORING_FIRED_EVENTS_H
#define COVSUP_MONITORING_FIRED_EVENTS_H

#include "core/code_state.h"
#include "settrace/frame_table.h"

/* Does the running frame execute `code`? */
bool fired_is_executed(const PyCodeObject *code);

/* Add a note to the journal, once for each file, that the functions in `filename` fire events and
 * are not measured. */
void fired_note_source(core *self, PyObject *filename);

/* The same where only the code that called them is known; `is_measured`: that code is measured. */
void fired_note_caller(core *self, PyCodeObject *caller, bool is_measured);

/* A trace function got a call event for `frame`, which runs `code`: does the frame begin or go on?
 * If not, C code that it called fired the event. */
bool fired_frame_begins(PyFrameObject *frame, PyCodeObject *code);

/* C code that the frame of `entry` called has fired the start of a function. */
void fired_enter(frame_entry *entry);

/* Does an event that a trace function got for the frame of `entry` belong to such a function? */
bool fired_owns_event(frame_entry *entry, int what);

#endif
