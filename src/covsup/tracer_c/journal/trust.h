/* journal/trust.h - whether a process may let a directory steer it.
 *
 * The rule of docs/security.md, in C: the tracer and the carrier include it. Python has it in
 * bootstrap.py (a measured process) and in datafile/session/directory.py (the supervisor); a test
 * compares the three. Must never know: Python, what is in the directory. */
#ifndef COVSUP_JOURNAL_TRUST_H
#define COVSUP_JOURNAL_TRUST_H

#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>

/* Whether root or the user owns a directory, and no other user may write to it. A process that root
 * started as another user may become root again, so it trusts only directories of root's. */
static inline bool
is_trusted_directory(const struct stat *found, uid_t real_user, uid_t effective_user)
{
    bool is_own = found->st_uid == effective_user && real_user != 0;
    return S_ISDIR(found->st_mode) && (found->st_mode & (S_IWGRP | S_IWOTH)) == 0 &&
           (found->st_uid == 0 || is_own);
}

#endif
