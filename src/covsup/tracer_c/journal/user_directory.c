/* journal/user_directory.c - a place in the session directory for the journals of another user.
 *
 * Called while the process may still do it, right before it becomes that user: its children, and
 * what it starts, then find the settings readable and a directory to write to. The fold takes only
 * that user's files from there.
 *
 * Threads: any number may do this at once; each step may be done twice.
 * Must never know: Python, why the user changes.
 */
#include "journal/state.h"

#include <stdlib.h>
#include <sys/stat.h>

#include "journal/text.h"

#define SUFFIX_ROOM 40 /* "/uid-<uid>" or "/settings" */

static _Atomic uint64_t granted_last; /* uid + 1: a server may go to and fro for each request */

/* Only root can give a directory away; and only in a session directory that is root's and nobody
 * else's to write, so that no link of somebody else's leads us anywhere. */
static int
can_grant_user(void)
{
    struct stat found;
    return geteuid() == 0 && SYSTEM("lstat", -1, lstat(journal_directory, &found)) == 0 &&
           S_ISDIR(found.st_mode) && found.st_uid == 0 && (found.st_mode & 022) == 0;
}

/* `path` has room for any of the names. */
static int
make_user_directory(char *path, uint64_t uid)
{
    char *end = journal_put_text(path, journal_directory);
    *journal_put_number(journal_put_text(end, "/uid-"), uid) = '\0';
    if (SYSTEM("mkdir", -1, mkdir(path, 0700)) != 0 && errno != EEXIST) {
        return -1;
    }
    /* The mode before the owner: it must not depend on the umask, nor be ours to change later. */
    if (SYSTEM("chmod(place)", -1, chmod(path, 0700)) != 0 ||
        SYSTEM("lchown", -1, lchown(path, (uid_t)uid, (gid_t)-1)) != 0) {
        return -1;
    }
    *journal_put_text(end, "/settings") = '\0';
    if (SYSTEM("chmod(settings)", -1, chmod(path, 0644)) != 0 && errno != ENOENT) {
        return -1;
    }
    return SYSTEM("chmod(session)", -1, chmod(journal_directory, 0711));
}

void
journal_grant_user(uint64_t uid)
{
    int saved = errno;
    if (uid != 0 && atomic_load_explicit(&granted_last, memory_order_relaxed) != uid + 1 &&
        atomic_load_explicit(&journal_current_state, memory_order_acquire) != NULL &&
        can_grant_user()) {
        char *path = malloc(PATH_ROOM + SUFFIX_ROOM); /* not on the stack of a thread */
        if (path != NULL && make_user_directory(path, uid) == 0) {
            atomic_store_explicit(&granted_last, uid + 1, memory_order_relaxed);
        }
        free(path);
    }
    errno = saved;
}
