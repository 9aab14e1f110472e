/* files/filter_rules.c - the rules for which files are measured. See files/filter_rules.h.
 *
 * They are coverage.py's, so that a project's settings have the same meaning. If `source` is given,
 * only its files are measured; else, if `include` is given, only those that match; else all files
 * but the standard library, third-party code and covsup itself. `omit` applies last.
 *
 * Threads: pure functions of rules that do not change.
 * Must never know: Python objects, the journal, who asks. */
#define _XOPEN_SOURCE 700 /* POSIX.1-2008 beside C11 */

#include "files/filter_rules.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool
is_slash(char c)
{
    return c == '/' || c == '\\';
}

/* Is `name` one of `parents`, or below one of them? `separator` ends the parts of a name. */
static bool
is_at_or_below(const string_list *parents, const char *name, char separator)
{
    for (int i = 0; i < parents->count; i++) {
        size_t length = strlen(parents->items[i]);
        if (strncmp(name, parents->items[i], length) == 0 &&
            (name[length] == '\0' || name[length] == separator)) {
            return true;
        }
    }
    return false;
}

bool
filter_in_trees(const string_list *trees, const char *path)
{
    return is_at_or_below(trees, path, '/');
}

/* Match one character as a set in a regular expression. `set` points after '['. Returns a pointer
 * after ']' (NULL: there is none, so '[' stands for itself). */
static const char *
match_set(const char *set, char c, bool *matched)
{
    const char *p = set;
    bool negated = *p == '^';
    bool found = false;
    if (negated) {
        p++;
    }
    for (const char *first = p; *p != ']' || p == first;) {
        if (*p == '\0') {
            return NULL;
        }
        if (p[1] == '-' && p[2] != ']' && p[2] != '\0') {
            found |=
                (unsigned char)p[0] <= (unsigned char)c && (unsigned char)c <= (unsigned char)p[2];
            p += 3;
        } else {
            found |= *p == c;
            p++;
        }
    }
    *matched = found != negated;
    return p + 1;
}

/* Match all of `path` from `pattern` on. `start`: this is the beginning of the pattern. */
static bool
match_here(const char *pattern, const char *path, bool start)
{
    for (;; start = false) {
        if (*pattern == '\0') {
            return *path == '\0';
        }
        if (*pattern == '*') {
            size_t stars = strspn(pattern, "*");
            const char *rest = pattern + stars;
            if (is_slash(*rest) && (start || stars == 2)) {
                /* A leading star or a double star, before a slash: any number of directories. */
                rest++;
                if (match_here(rest, path, false)) {
                    return true;
                }
                for (const char *p = path; *p; p++) {
                    if (is_slash(*p) && match_here(rest, p + 1, false)) {
                        return true;
                    }
                }
                return false;
            }
            for (const char *p = path;; p++) {
                if (match_here(rest, p, false)) {
                    return true;
                }
                if (*p == '\0' || is_slash(*p)) {
                    return false;
                }
            }
        }
        if (*path == '\0') {
            return false;
        }
        if (is_slash(*pattern)) {
            if (!is_slash(*path)) {
                return false;
            }
            if (pattern[1] == '*' && pattern[1 + strspn(pattern + 1, "*")] == '\0') {
                return true; /* a trailing slash-star matches everything below */
            }
        } else if (*pattern == '?') {
            if (is_slash(*path)) {
                return false;
            }
        } else if (*pattern == '[') {
            bool matched = false;
            const char *after = match_set(pattern + 1, *path, &matched);
            if (after == NULL ? *path != '[' : !matched) {
                return false;
            }
            if (after != NULL) {
                pattern = after;
                path++;
                continue;
            }
        } else if (*pattern != *path) {
            return false;
        }
        pattern++;
        path++;
    }
}

bool
filter_glob(const char *pattern, const char *path)
{
    if (strpbrk(pattern, "/\\") == NULL) {
        /* A pattern without a slash matches in any directory. */
        for (const char *name = path; name != NULL;) {
            if (match_here(pattern, name, false)) {
                return true;
            }
            const char *slash = strpbrk(name, "/\\");
            name = slash != NULL ? slash + 1 : NULL;
        }
        return false;
    }
    return match_here(pattern, path, true);
}

static bool
matches_any(const string_list *patterns, const char *path)
{
    for (int i = 0; i < patterns->count; i++) {
        if (filter_glob(patterns->items[i], path)) {
            return true;
        }
    }
    return false;
}

/* Is `dir` inside a virtual environment? */
static bool
in_venv(const char *dir)
{
    static const char marker[] = "/pyvenv.cfg";
    char *probe = malloc(strlen(dir) + sizeof(marker)); /* too large for a small stack */
    bool found = false;
    if (probe == NULL) {
        return false;
    }
    strcpy(probe, dir);
    for (char *slash = strrchr(probe, '/'); !found && slash != NULL && slash != probe;
         slash = strrchr(probe, '/')) {
        strcpy(slash, marker);
        found = access(probe, F_OK) == 0;
        *slash = '\0';
    }
    free(probe);
    return found;
}

static bool
is_third_party(const filter_rules *rules, const char *path, const string_list *search_path)
{
    if (filter_in_trees(&rules->third_dirs, path)) {
        return true;
    }
    for (int i = 0; i < search_path->count; i++) {
        string_list one = {&search_path->items[i], 1};
        if (search_path->items[i][0] == '/' && filter_in_trees(&one, path) &&
            in_venv(search_path->items[i])) {
            return true;
        }
    }
    return false;
}

/* Was the file asked for although it is installed: by package name, or by an installed directory?
 */
static bool
source_is_installed(const filter_rules *rules, const char *path, bool by_package,
                    const string_list *search_path)
{
    if (by_package) {
        return true;
    }
    for (int i = 0; i < rules->source_dirs.count; i++) {
        string_list one = {&rules->source_dirs.items[i], 1};
        if (filter_in_trees(&one, path) &&
            is_third_party(rules, rules->source_dirs.items[i], search_path)) {
            return true;
        }
    }
    return false;
}

bool
filter_measures(const filter_rules *rules, const char *path, const char *module,
                const string_list *search_path)
{
    if (rules->source_dirs.count > 0 || rules->source_pkgs.count > 0) {
        bool by_package = is_at_or_below(&rules->source_pkgs, module, '.');
        if (!by_package && !filter_in_trees(&rules->source_dirs, path)) {
            return false;
        }
        if (is_third_party(rules, path, search_path) &&
            !source_is_installed(rules, path, by_package, search_path)) {
            return false;
        }
    } else if (rules->include.count > 0) {
        if (!matches_any(&rules->include, path)) {
            return false;
        }
    } else if (filter_in_trees(&rules->own_dirs, path) ||
               is_third_party(rules, path, search_path) ||
               filter_in_trees(&rules->stdlib_dirs, path)) {
        return false;
    }
    return !matches_any(&rules->omit, path);
}
