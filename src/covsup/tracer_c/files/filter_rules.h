/* files/filter_rules.h - the rules for which files are measured.
 *
 * Threads: configured once before measurement starts, only read afterwards.
 * Must never know: Python objects, the journal, who asks. */
#ifndef COVSUP_FILES_FILTER_RULES_H
#define COVSUP_FILES_FILTER_RULES_H

#include <stdbool.h>

typedef struct {
    char **items;
    int count;
} string_list;

/* The rules of one run, with coverage.py's meanings (coverage/inorout.py). Trees are canonical
 * directories or files; patterns are prepared (absolute, or starting with a wildcard). */
typedef struct {
    string_list source_dirs;
    string_list source_pkgs;
    string_list include;
    string_list omit;
    string_list stdlib_dirs; /* empty when the standard library is to be measured */
    string_list third_dirs;
    string_list own_dirs; /* where covsup itself lives */
} filter_rules;

/* Is the file with the canonical path `path`, imported as `module` (may be ""), measured?
 * `search_path` is the interpreter's sys.path: its directories inside a virtual environment hold
 * third-party code. */
bool filter_measures(const filter_rules *rules, const char *path, const char *module,
                     const string_list *search_path);

/* Does the whole of `path` match coverage.py's file pattern `pattern`? */
bool filter_glob(const char *pattern, const char *path);

/* Is `path` one of `trees` or below one of them? */
bool filter_in_trees(const string_list *trees, const char *path);

#endif
