/* settrace/foreign_threads.h - trace the threads that C code creates, under the settrace core.
 *
 * Threads: with the interpreter's GIL.
 * Must never know: what a trace function records. */
#ifndef COVSUP_SETTRACE_FOREIGN_THREADS_H
#define COVSUP_SETTRACE_FOREIGN_THREADS_H

#include "core/core.h"

/* Trace also the threads that C code creates. sys.monitoring sees them without this. False:
 * somebody else evaluates the frames of this interpreter, so such threads are not seen. */
bool foreign_threads_watch(core *self);

#endif
