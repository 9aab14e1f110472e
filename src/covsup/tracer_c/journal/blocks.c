/* journal/blocks.c - give a journal blocks on disk before anything is written to it. See blocks.h.
 *
 * Must never know: Python, what is stored.
 */
#include "journal/blocks.h"

#include <fcntl.h>
#include <stdatomic.h>

static _Atomic uint32_t cannot_populate; /* 1: this kernel does not allocate through a mapping */

int
journal_can_populate(void)
{
    return !atomic_load_explicit(&cannot_populate, memory_order_relaxed);
}

void
journal_note_no_populate(void)
{
    atomic_store_explicit(&cannot_populate, 1, memory_order_relaxed);
}

#ifdef MADV_POPULATE_WRITE
int
journal_populate(char *base, uint64_t from, uint64_t to)
{
    int rc;
    do {
        rc = SYSTEM("madvise(populate)", -1,
                    madvise(base + from, (size_t)(to - from), MADV_POPULATE_WRITE));
    } while (rc != 0 && (errno == EINTR || errno == EAGAIN));
    return rc == 0 ? 0 : errno;
}
#else
int
journal_populate(char *base, uint64_t from, uint64_t to)
{
    (void)base, (void)from, (void)to;
    return EINVAL;
}
#endif

int
journal_allocate_by_descriptor(int fd, uint64_t from, uint64_t to)
{
    static const char zeros[4096];
    int rc;
#if defined(__linux__)
    do {
        rc = SYSTEM("fallocate", -1, fallocate(fd, 0, (off_t)from, (off_t)(to - from)));
    } while (rc != 0 && errno == EINTR);
    if (rc == 0 || (errno != EOPNOTSUPP && errno != ENOSYS)) {
        return rc == 0 ? 0 : errno;
    }
#elif defined(F_PREALLOCATE)
    fstore_t wanted = {
        .fst_flags = F_ALLOCATEALL, .fst_posmode = F_PEOFPOSMODE, .fst_length = (off_t)(to - from)};
    do {
        rc = SYSTEM("fcntl(preallocate)", -1, fcntl(fd, F_PREALLOCATE, &wanted));
    } while (rc != 0 && errno == EINTR);
    if (rc != 0 && errno == ENOSPC) {
        return errno;
    }
#endif
    for (uint64_t at = from; at < to;) {
        ssize_t written = SYSTEM(
            "pwrite", -1, pwrite(fd, zeros, (size_t)min_u64(sizeof(zeros), to - at), (off_t)at));
        if (written < 0 && errno != EINTR) {
            return errno;
        }
        at += written > 0 ? (uint64_t)written : 0;
    }
    return 0;
}

int
journal_allocate_first(int fd, char *base, uint64_t size)
{
    if (journal_can_populate()) {
        int error = journal_populate(base, 0, size);
        if (error == EFAULT) {
            /* EFAULT hides the reason. Only a descriptor says whether it is ENOSPC or EDQUOT. */
            error = journal_allocate_by_descriptor(fd, 0, size);
            return error != 0 ? error : journal_populate(base, 0, size);
        }
        if (error != EINVAL) {
            return error;
        }
        journal_note_no_populate();
    }
    return journal_allocate_by_descriptor(fd, 0, size);
}
