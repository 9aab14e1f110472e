/* journal/segment_file.c - the file of a segment. See segment_file.h.
 *
 * No descriptor outlives a call: a target that closes descriptors it does not know, or counts them,
 * meets none of ours.
 * Must never know: Python, what is stored in a segment.
 */
#include "journal/segment_file.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "journal/blocks.h"
#include "journal/identity.h"
#include "journal/text.h"

/* The first segment maps little, because a program may limit its address space at any time
 * (RLIMIT_AS). Each further segment maps twice as much. */
#define FIRST_LENGTH (UINT64_C(1) << 20)
#define LENGTH_UNDER_LIMIT (UINT64_C(256) << 10)
#define ADDRESS_SPACE_SHARE 64 /* under RLIMIT_AS a segment takes at most 1/64 of the limit */
#define SLOTS_LENGTH (UINT64_C(32) << 20)       /* behind the words of the first segment */
#define SHORTEST_WITH_SLOTS (UINT64_C(1) << 20) /* of a file, under RLIMIT_FSIZE */
#define NAME_ROOM 112                           /* "/uid-<uid>/<pid>-<32 hex>.<segment>.journal~" */

/* A path and a header are too large for the stack of a small thread or of a signal handler. These
 * are protected by the open lock. */
static char segment_path[PATH_ROOM + NAME_ROOM];
static journal_header found_header;

/* The session directory, or its directory for one user (user_directory.c). */
typedef enum { IN_SESSION, IN_USER_DIRECTORY } segment_directory;

/* Write the path of segment `index` to `segment_path`. */
static journal_failure
name_segment(uint32_t index, segment_directory where)
{
    const identity *self = journal_identity_now();
    if (strlen(journal_directory) >= PATH_MAX - NAME_ROOM) {
        return failure_at(ENAMETOOLONG, JOURNAL_STAGE_NAME);
    }
    char *at = journal_put_text(segment_path, journal_directory);
    if (where == IN_USER_DIRECTORY) {
        at = journal_put_text(at, "/uid-");
        at = journal_put_number(at, (uint64_t)geteuid());
    }
    *at++ = '/';
    at = journal_put_number(at, self->pid);
    *at++ = '-';
    at = journal_put_hex(at, self->image_id, sizeof(self->image_id));
    *at++ = '.';
    at = journal_put_number(at, index);
    at = journal_put_text(at, ".journal~");
    *at = '\0';
    return NO_FAILURE;
}

/* Choose how much of segment `index` is mapped (at least `least`) and how long its file is. The
 * limits are read first: to grow a file past RLIMIT_FSIZE would send SIGXFSZ, which kills. */
static journal_failure
choose_lengths(uint32_t index, uint64_t least, uint64_t *length, uint64_t *file_length)
{
    struct rlimit limit;
    *length = FIRST_LENGTH;
    for (uint32_t i = 0; i < index && *length < SEGMENT_LONGEST; i++) {
        *length *= 2;
    }
    if (SYSTEM("getrlimit(as)", -1, getrlimit(RLIMIT_AS, &limit)) == 0 &&
        limit.rlim_cur != RLIM_INFINITY) {
        uint64_t share = (uint64_t)limit.rlim_cur / ADDRESS_SPACE_SHARE;
        *length = min_u64(*length, max_u64(share, LENGTH_UNDER_LIMIT));
    }
    *length = max_u64(*length, least) / journal_page_size * journal_page_size;
    *file_length = index == 0 ? *length + SLOTS_LENGTH : *length;
    if (SYSTEM("getrlimit(fsize)", -1, getrlimit(RLIMIT_FSIZE, &limit)) != 0) {
        return failure_at(errno, JOURNAL_STAGE_LIMIT);
    }
    if (limit.rlim_cur != RLIM_INFINITY && (uint64_t)limit.rlim_cur < *file_length) {
        *file_length = (uint64_t)limit.rlim_cur / journal_page_size * journal_page_size;
        uint64_t most =
            index == 0 && *file_length >= SHORTEST_WITH_SLOTS ? *file_length / 2 : *file_length;
        *length = min_u64(*length, most / journal_page_size * journal_page_size);
    }
    return *length < least ? failure_at(EFBIG, JOURNAL_STAGE_LIMIT) : NO_FAILURE;
}

static int
open_retrying(const char *path, int flags)
{
    int fd;
    do {
        fd = SYSTEM("open", -1, open(path, flags | O_RDWR | O_NOFOLLOW | O_CLOEXEC, 0600));
    } while (fd < 0 && errno == EINTR);
    return fd;
}

/* Create the file. *fd is above 2: a target may have closed its standard streams while its other
 * threads still write to them, and these bytes must not go to the journal. */
static journal_failure
create_file(const char *path, mode_t mode, int *fd)
{
    *fd = open_retrying(path, O_CREAT | O_EXCL);
    if (*fd < 0 && errno == EEXIST && SYSTEM("unlink", -1, unlink(path)) == 0) {
        /* The name holds this image's random id: an earlier attempt could not delete its file. */
        *fd = open_retrying(path, O_CREAT | O_EXCL);
    }
    if (*fd < 0) {
        return failure_at(errno, JOURNAL_STAGE_OPEN);
    }
    if (*fd <= STDERR_FILENO) {
        int above = SYSTEM("fcntl(dupfd)", -1, fcntl(*fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
        if (above < 0) {
            return failure_at(errno, JOURNAL_STAGE_MODE);
        }
        (void)SYSTEM("close", -1, close(*fd));
        *fd = above;
    }
    /* Under a umask of 0777 the owner could not open the file again. */
    int rc;
    do {
        rc = SYSTEM("fchmod", -1, fchmod(*fd, mode));
    } while (rc != 0 && errno == EINTR);
    return rc == 0 ? NO_FAILURE : failure_at(errno, JOURNAL_STAGE_MODE);
}

/* Map the file and switch the kernel's read-ahead off. For the first page of a sparse file it would
 * fill 8 MiB of the page cache with zeros, which takes 2 ms (Linux 6.18, ext4). */
static void *
map_shared(int fd, char *over, uint64_t length)
{
    void *mapped = SYSTEM("mmap", MAP_FAILED,
                          mmap(over, (size_t)length, PROT_READ | PROT_WRITE,
                               MAP_SHARED | (over != NULL ? MAP_FIXED : 0), fd, 0));
    if (mapped != MAP_FAILED) {
        int error = errno;
        (void)SYSTEM("madvise(random)", -1, madvise(mapped, (size_t)length, MADV_RANDOM));
        errno = error;
    }
    return mapped;
}

static journal_failure
map_file(const journal_state *state, int fd, uint32_t index, uint64_t least, mapping *made)
{
    uint64_t *length = &made->length;
    for (;;) {
        int rc;
        do {
            rc = SYSTEM("ftruncate", -1, ftruncate(fd, (off_t)made->file_length));
        } while (rc != 0 && errno == EINTR);
        if (rc != 0) {
            return failure_at(errno, JOURNAL_STAGE_SIZE);
        }
        void *mapped = map_shared(fd, NULL, *length);
        int error = errno;
        int is_full = mapped == MAP_FAILED && (error == ENOMEM || error == EAGAIN);
        char *over = is_full && index == 0 ? journal_take_inherited(state, *length) : NULL;
        if (over != NULL) {
            mapped = map_shared(fd, over, *length);
            if (mapped == MAP_FAILED) {
                (void)SYSTEM("munmap", -1, munmap(over, (size_t)*length));
            }
        }
        if (mapped != MAP_FAILED) {
            made->base = mapped;
            return NO_FAILURE;
        }
        uint64_t half = *length / 2 / journal_page_size * journal_page_size;
        if (!is_full || half < least) {
            return failure_at(error, JOURNAL_STAGE_MAP);
        }
        if (index != 0) {
            made->file_length = half;
        }
        *length = half; /* the address space is full: try with less */
    }
}

journal_failure
journal_make_segment_file(const journal_state *state, uint32_t index, uint64_t least,
                          uint64_t allocated, mapping *made)
{
    const char *path = segment_path;
    mapping file = {NULL, 0, 0};
    int fd = -1;

    journal_failure err = name_segment(index, IN_SESSION);
    if (err.error == 0) {
        err = choose_lengths(index, least, &file.length, &file.file_length);
    }
    if (err.error == 0) {
        err = create_file(path, 0600, &fd);
    }
    if (err.error == EACCES && fd < 0) {
        /* Another user's session. Its owner may have made a directory for this user, and must be
         * able to read the file. */
        journal_failure first = err;
        err = name_segment(index, IN_USER_DIRECTORY);
        if (err.error == 0) {
            err = create_file(path, 0644, &fd);
        }
        if (err.error != 0 && fd < 0) {
            err = first;
        }
    }
    int created = fd >= 0;
    if (err.error == 0) {
        err = map_file(state, fd, index, least, &file);
    }
    if (err.error == 0) {
        err.error = journal_allocate_first(fd, file.base, allocated);
        err.stage = err.error == 0 ? JOURNAL_STAGE_NONE : JOURNAL_STAGE_FILL;
    }
    if (fd >= 0) {
        (void)SYSTEM("close", -1, close(fd)); /* after EINTR it is closed, too (Linux, macOS) */
    }
    if (err.error != 0) {
        if (file.base != NULL) {
            (void)SYSTEM("munmap", -1, munmap(file.base, (size_t)file.length));
        }
        if (created) {
            (void)SYSTEM("unlink", -1, unlink(path));
        }
        return err;
    }
    *made = file;
    return NO_FAILURE;
}

int
journal_reopen_segment_file(const segment *of)
{
    int fd = -1;
    for (segment_directory where = IN_SESSION; fd < 0 && where <= IN_USER_DIRECTORY; where++) {
        journal_failure err = name_segment(header_of(of)->segment, where);
        if (err.error != 0) {
            errno = err.error;
            return -1;
        }
        fd = open_retrying(segment_path, O_NONBLOCK);
    }
    if (fd < 0) {
        return -1;
    }
    const ssize_t size = (ssize_t)sizeof(found_header);
    if (SYSTEM("pread", -1, pread(fd, &found_header, sizeof(found_header), 0)) != size ||
        memcmp(&found_header, header_of(of), JOURNAL_CHECKED_TO) != 0) {
        (void)SYSTEM("close", -1, close(fd));
        errno = ESTALE;
        return -1;
    }
    return fd;
}
