/* files/file_decision.h - decide once for each file name whether code of it is measured.
 *
 * Threads: with the interpreter's GIL.
 * Must never know: which core asks, what it does with the answer. */
#ifndef COVSUP_FILES_FILE_DECISION_H
#define COVSUP_FILES_FILE_DECISION_H

#include "core/core.h"

/* Decide about the file of `code`, which runs with `globals`. False: it is not measured, or an
 * exception is set. */
bool file_decide(core *self, PyCodeObject *code, PyObject *globals, file_disposition *disposition);

/* Is the file of `code` known to be excluded? False says nothing: ask file_decide(). */
bool file_is_excluded(const core *self, const PyCodeObject *code);

#endif
