/* monitoring/fired_events.h - events that C code fires for functions of its own (Cython with
 * linetrace).
 *
 * From 3.13 on C code may fire events of sys.monitoring (PyMonitoring_FirePyStartEvent() and its
 * kin) for code objects that no frame executes. The frame that runs is then that of the Python code
 * which called it, and what it says has nothing to do with the event. CPython hands such events to
 * trace functions with that frame, and does not say whose they are.
 *
 * Threads: with the GIL. Must never know: how facts are told. */
#ifndef COVSUP_MONITORING_FIRED_EVENTS_H
#define COVSUP_MONITORING_FIRED_EVENTS_H

#include "core/code_state.h"
#include "settrace/frame_table.h"

/* Does the frame that runs execute `code`? */
bool fired_is_executed(const PyCodeObject *code);

/* Note, once for each, that the functions in the file `filename` fire events: they are not
 * measured. */
void fired_note_source(core *self, PyObject *filename);

/* Likewise where only the code that called them is known; `is_measured`: it is measured. */
void fired_note_caller(core *self, PyCodeObject *caller, bool is_measured);

/* A trace function is sent a call event for `frame`, which runs `code`: does the frame begin or go
 * on? Else C code that it called fired the event. */
bool fired_frame_begins(PyFrameObject *frame, PyCodeObject *code);

/* C code that the frame of `entry` called enters a function. */
void fired_enter(frame_entry *entry);

/* Is the event that a trace function is sent for the frame of `entry` of such a function? */
bool fired_owns_event(frame_entry *entry, int what);

#endif
