/* analysis/branches.h - find what the events of one code object say about branches.
 *
 * Threads: with an attached thread state; it changes no shared data.
 * Must never know: events, files, the journal. */
#ifndef COVSUP_ANALYSIS_BRANCHES_H
#define COVSUP_ANALYSIS_BRANCHES_H

#include "analysis/branch_table.h"

/* The branches of `code`; NULL with an exception set. Free it with branch_table_free(). In line
 * mode
 * (`arcs` is false) it has only the branches that lead to lines without a LINE event. */
branch_table *branch_table_new(PyCodeObject *code, bool arcs);

#endif
