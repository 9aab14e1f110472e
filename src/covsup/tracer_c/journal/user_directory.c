/* journal/user_directory.c - a directory in the session directory for the journals of another user.
 *
 * A process makes it right before it becomes that user, while it still has the rights. Its children
 * and the programs that it starts then can read the settings and write their journals. The fold
 * takes only that user's files from there.
 *
 * Threads: any number at once; every step may be done twice.
 * Must never know: Python, why the user changes.
 */
#include "journal/state.h"

#include <stdlib.h>
#include <sys/stat.h>

#include "journal/text.h"
#include "journal/trust.h"

#define SUFFIX_ROOM 40 /* "/uid-<uid>" or "/settings" */

/* The last uid, plus 1: a server may change its user back and forth for each request. */
static _Atomic uint64_t granted_last;

/* Only root can give a directory away. It does so only in a session directory that root owns and
 * others cannot write to: a symbolic link of theirs could lead elsewhere. */
static int
can_grant_user(void)
{
    struct stat found;
    return geteuid() == 0 && SYSTEM("lstat", -1, lstat(journal_directory, &found)) == 0 &&
           is_trusted_directory(&found, 0, 0);
}

/* `path` is a buffer with room for each of the paths. */
static int
make_user_directory(char *path, uint64_t uid)
{
    char *end = journal_put_text(path, journal_directory);
    *journal_put_number(journal_put_text(end, "/uid-"), uid) = '\0';
    if (SYSTEM("mkdir", -1, mkdir(path, 0700)) != 0 && errno != EEXIST) {
        return -1;
    }
    /* The mode first: after the change of owner it could not be set, and the umask may have cut it.
     */
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
        char *path = malloc(PATH_ROOM + SUFFIX_ROOM); /* too large for a small stack */
        if (path != NULL && make_user_directory(path, uid) == 0) {
            atomic_store_explicit(&granted_last, uid + 1, memory_order_relaxed);
        }
        free(path);
    }
    errno = saved;
}
