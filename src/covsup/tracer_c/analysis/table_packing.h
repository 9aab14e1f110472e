/* analysis/table_packing.h - a finished analysis as a branch table.
 *
 * Threads, Must never know: see analysis/branches.h. */
#ifndef COVSUP_ANALYSIS_TABLE_PACKING_H
#define COVSUP_ANALYSIS_TABLE_PACKING_H

#include "analysis/analysis.h"

#if COMPAT_MONITORING

/* What was found, in one allocation of its size; NULL: out of memory. */
branch_table *table_pack(const code_analysis *a);

#endif
#endif
