/* files/measured_file.h - the run's rules (files/filter_rules.h) applied to the files of a program.
 *
 * Threads: with the interpreter's GIL.
 * Must never know: plugins, code objects. */
#ifndef COVSUP_FILES_MEASURED_FILE_H
#define COVSUP_FILES_MEASURED_FILE_H

#include "core/core.h"

/* Make the canonical `path` a measured file, unless the rules exclude it; `*file` then stays NULL.
 * `plugin` is the name of the plugin that claims the code, or "". -1 with an exception set. */
int file_policy_apply(core *self, const char *path, PyObject *globals, const char *plugin,
                      source_file **file);

/* The canonical path of the source that code names `filename`, to be freed; NULL where the rules
 * exclude it or no such file exists. Sets no exception, and keeps the one that is set. */
char *file_policy_measured_source(core *self, PyObject *filename);

#endif
