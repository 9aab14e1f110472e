/* monitoring/monitoring_core.h - execution events from sys.monitoring (3.12 and later).
 *
 * Threads: with the interpreter's GIL.
 * Must never know: adapters, the layout of the journal. */
#ifndef COVSUP_MONITORING_MONITORING_CORE_H
#define COVSUP_MONITORING_MONITORING_CORE_H

#include "core/core.h"

#if COMPAT_MONITORING

/* Start measuring. -1 with an exception set. */
int monitoring_start(core *self);

/* Measure a code object, run with `globals`, that has frames already and so sends no PY_START
 * event. -1 with an exception set. */
int monitoring_measure_running(core *self, PyCodeObject *code, PyObject *globals);

#endif
#endif
