/* journal/segment.c - the files of a journal: making one, allocating its blocks, the next one.
 *
 * Disk: blocks are allocated before a word in them is handed out; a full disk is an error here and
 * never a SIGBUS. No descriptor outlives a call.
 * Threads: only the opener makes a segment; blocks may be allocated by any number of threads.
 * Signals: no malloc, no stdio.
 * Must never know: Python, what is stored in a segment.
 */
#include "journal/state.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/resource.h>
#include <sys/stat.h>

/* Address space is little at first, for a program may limit its own at any time (RLIMIT_AS), and
 * each segment doubles it. */
#define FIRST_LENGTH (UINT64_C(1) << 20)
#define LENGTH_UNDER_LIMIT (UINT64_C(256) << 10)
#define ADDRESS_SPACE_SHARE 64 /* under RLIMIT_AS a segment takes at most 1/64 of the limit */
#define SLOTS_LENGTH (UINT64_C(32) << 20)       /* behind the words of the first segment */
#define SHORTEST_WITH_SLOTS (UINT64_C(1) << 20) /* of a file, under RLIMIT_FSIZE */
#define GROWTH_MIN UINT64_C(8192)
#define GROWTH_MAX (UINT64_C(256) << 10)
#define NAME_ROOM 112 /* "/uid-<uid>/<pid>-<32 hex>.<segment>.journal~" */

/* A path and a header take more than the stack of a thread, or of a signal handler, may have left:
 * the opener, of which a process has one at a time, uses these. */
static char segment_path[PATH_ROOM + NAME_ROOM];
static journal_header found_header;

static _Atomic uint32_t cannot_populate; /* this kernel does not allocate behind a mapping */

#ifdef MADV_POPULATE_WRITE
/* 0, or errno; EINVAL: this kernel does not know the call. */
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

/* Blocks through a descriptor. Nobody may have been given words in [from, to) yet: where there is
 * no call that only allocates, zeros are written. Returns 0 or errno. */
static int
allocate_by_descriptor(int fd, uint64_t from, uint64_t to)
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

static int
allocate_first(int fd, char *base, uint64_t size)
{
    if (!atomic_load_explicit(&cannot_populate, memory_order_relaxed)) {
        int error = journal_populate(base, 0, size);
        if (error == EFAULT) {
            /* The file system refused; why, only a descriptor tells: no space, or over quota. */
            error = allocate_by_descriptor(fd, 0, size);
            return error != 0 ? error : journal_populate(base, 0, size);
        }
        if (error != EINVAL) {
            return error;
        }
        atomic_store_explicit(&cannot_populate, 1, memory_order_relaxed);
    }
    return allocate_by_descriptor(fd, 0, size);
}

/* Where a segment lies: in the session directory, or in its part for one user. */
typedef enum { FOR_ALL, FOR_USER } place;

/* Writes it to `segment_path`. */
static journal_failure
name_segment(uint32_t index, place where)
{
    const identity *self = journal_identity_now();
    if (strlen(journal_directory) >= PATH_MAX - NAME_ROOM) {
        return failure_at(ENAMETOOLONG, JOURNAL_STAGE_NAME);
    }
    char *at = journal_put_text(segment_path, journal_directory);
    if (where == FOR_USER) {
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

/* How much of segment `index` to map, at least `least`, and how long its file is. Asked before the
 * file is touched: growing a file past RLIMIT_FSIZE would send SIGXFSZ, which kills. */
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

/* Creates the file; *fd is above 2, so that a target which closed its standard streams, and whose
 * other threads may still write to them, cannot write into the journal for longer than a moment. */
static journal_failure
create_file(const char *path, mode_t mode, int *fd)
{
    *fd = open_retrying(path, O_CREAT | O_EXCL);
    if (*fd < 0 && errno == EEXIST && SYSTEM("unlink", -1, unlink(path)) == 0) {
        /* The name holds our pid and our random id: what an earlier try could not clean up. */
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
    /* The umask may have left no bit; without its bits the owner could not open it again. */
    int rc;
    do {
        rc = SYSTEM("fchmod", -1, fchmod(*fd, mode));
    } while (rc != 0 && errno == EINTR);
    return rc == 0 ? NO_FAILURE : failure_at(errno, JOURNAL_STAGE_MODE);
}

/* In a child: the address of a journal of the process that forked, to map our own over where the
 * address space has no other room. NULL: there is none so long, or it counts our losses. */
static char *
take_inherited_address(const journal_state *state, uint64_t length)
{
    uint32_t count = atomic_load_explicit(&journal_mapping_count, memory_order_acquire);
    if (atomic_load_explicit(&state->parent_header, memory_order_relaxed) != NULL) {
        return NULL;
    }
    for (uint32_t i = 0; i < count; i++) {
        mapping old = journal_mappings[i];
        if (old.base != NULL && old.length >= length) {
            journal_mappings[i] = (mapping){NULL, 0, 0};
            if (old.length > length) {
                (void)SYSTEM("munmap", -1,
                             munmap(old.base + length, (size_t)(old.length - length)));
            }
            return old.base;
        }
    }
    return NULL;
}

/* In a child that has a file of its own: the journals of the process that forked are not needed any
 * more. Not earlier: until then they may have a slot for us, and count what we lose. */
static void
unmap_inherited(const journal_state *state)
{
    char *host = (char *)atomic_load_explicit(&state->parent_header, memory_order_relaxed);
    uint32_t count = atomic_load_explicit(&journal_mapping_count, memory_order_acquire);
    for (uint32_t i = 0; i < count; i++) {
        mapping old = journal_mappings[i];
        journal_mappings[i] = (mapping){NULL, 0, 0};
        /* The fork may have caught one half made; other threads may still count in the host. */
        if (old.base != NULL && old.length != 0 && old.base != host) {
            (void)SYSTEM("munmap", -1, munmap(old.base, (size_t)old.length));
        }
    }
    atomic_store_explicit(&journal_mapping_count, 0, memory_order_release);
    journal_unmap_inherited_slots();
}

/* Without the kernel's reading ahead: for the first page of a sparse file it would fill 8 MiB of
 * its cache with zeros (Linux 6.18, ext4), which takes 2 ms. */
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
        char *over = is_full && index == 0 ? take_inherited_address(state, *length) : NULL;
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
        *length = half; /* an address space that is full */
    }
}

/* Of a segment at `offset` in its file: 0, or where its slot begins. */
static void
write_header(const mapping *of, uint32_t index, uint64_t offset, uint64_t allocated)
{
    char *base = of->base;
    journal_header *header = (journal_header *)(void *)base;
    const identity *self = journal_identity_now();
    header->version = JOURNAL_VERSION;
    header->header_size = JOURNAL_HEADER_SIZE;
    header->byte_order = JOURNAL_BYTE_ORDER;
    memcpy(header->image_id, self->image_id, sizeof(header->image_id));
    memcpy(header->parent_image_id, self->parent_image_id, sizeof(header->parent_image_id));
    header->pid = self->pid;
    header->ppid = self->ppid;
    header->start_realtime_ns = self->start_realtime_ns;
    header->start_boottime_ns = self->start_boottime_ns;
    header->generation = self->generation;
    header->start_kind = self->start_kind;
    header->python_hexversion = journal_configuration.python_hexversion;
    header->core = journal_configuration.core;
    header->flags = journal_configuration.flags;
    header->segment = index;
    header->capacity = of->length;
    header->uid = (uint64_t)geteuid();
    header->offset = offset;
    if (journal_slot_count(of) != 0) {
        header->slots_at = journal_slots_at(of);
        header->slot_size = (uint32_t)journal_slot_size();
        header->slot_count = (uint32_t)journal_slot_count(of);
    }
    header->identity_check =
        journal_crc32(0, base + JOURNAL_CHECKED_FROM, JOURNAL_CHECKED_TO - JOURNAL_CHECKED_FROM);
    header->tail = JOURNAL_HEADER_SIZE;
    header->allocated = allocated;
    uint64_t magic;
    memcpy(&magic, JOURNAL_MAGIC, sizeof(magic));
    STORING("magic");
    atomic_store_explicit((_Atomic(uint64_t) *)(void *)base, magic, memory_order_release);
}

/* Segment `index` as a file of its own. */
static journal_failure
make_segment_file(const journal_state *state, uint32_t index, uint64_t least, segment *made)
{
    const char *path = segment_path;
    mapping file = {NULL, 0, 0};
    int fd = -1;

    journal_failure err = name_segment(index, FOR_ALL);
    if (err.error == 0) {
        err = choose_lengths(index, least, &file.length, &file.file_length);
    }
    if (err.error == 0) {
        err = create_file(path, 0600, &fd);
    }
    if (err.error == EACCES && fd < 0) {
        /* Not our session: its owner, who may have made a place for us, wants to read us. */
        journal_failure first = err;
        err = name_segment(index, FOR_USER);
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
    uint64_t allocated = round_up(FIRST_BLOCKS);
    if (err.error == 0) {
        err.error = allocate_first(fd, file.base, allocated);
        err.stage = err.error == 0 ? JOURNAL_STAGE_NONE : JOURNAL_STAGE_FILL;
    }
    if (fd >= 0) {
        (void)SYSTEM("close", -1, close(fd)); /* Linux and macOS release it, EINTR or not */
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
    if (index == 0) {
        unmap_inherited(state);
    }
    journal_mappings[index] = file;
    atomic_store_explicit(&journal_mapping_count, index + 1, memory_order_release);
    write_header(&file, index, 0, allocated);
    made->base = file.base;
    made->capacity = file.length;
    atomic_store_explicit(&made->allocated, allocated, memory_order_relaxed);
    return NO_FAILURE;
}

/* Segment `index` in a slot of a file that is mapped already: of the one that we inherited, or, if
 * the first segment is a file of ours, of that. */
static journal_failure
make_segment_in_slot(journal_state *state, uint32_t index, uint64_t least, segment *made)
{
    uint64_t offset = 0;
    uint64_t allocated = 0;
    journal_failure err = least > journal_slot_size()
                              ? failure_at(E2BIG, JOURNAL_STAGE_RANGE)
                              : journal_claim_slot(index, &offset, &allocated);
    if (err.error != 0) {
        return err;
    }
    if (index == 0) {
        atomic_store_explicit(&state->uses_parent_file, 1, memory_order_relaxed);
    } else if (!atomic_load_explicit(&state->uses_parent_file, memory_order_relaxed)) {
        journal_mappings[index] = (mapping){NULL, 0, 0};
        atomic_store_explicit(&journal_mapping_count, index + 1, memory_order_release);
    }
    write_header(&journal_windows[index], index, offset, allocated);
    made->base = journal_windows[index].base;
    made->capacity = journal_slot_size();
    atomic_store_explicit(&made->allocated, allocated, memory_order_relaxed);
    return NO_FAILURE;
}

/* Makes segment `index`, of at least `least` bytes, and publishes it. Only the opener calls it. */
journal_failure
journal_make_segment(journal_state *state, uint32_t index, uint64_t least)
{
    least = round_up(max_u64(least, FIRST_BLOCKS));
    if (index >= SEGMENTS_MAX) {
        return failure_at(EFBIG, JOURNAL_STAGE_SEGMENT);
    }
    segment *made = &state->segments[index];
    /* All segments of an image are in one place, or begin there: readers need not search. */
    int uses_parent_file =
        (int)atomic_load_explicit(&state->uses_parent_file, memory_order_relaxed);
    journal_failure err = uses_parent_file ? make_segment_in_slot(state, index, least, made)
                                           : make_segment_file(state, index, least, made);
    if (err.error != 0 && !uses_parent_file &&
        make_segment_in_slot(state, index, least, made).error == 0) {
        err = NO_FAILURE;
    }
    if (err.error != 0) {
        return err;
    }
    STORING("segment");
    atomic_store_explicit(&state->count, index + 1, memory_order_release);
    return NO_FAILURE;
}

/* Opens the segment's file again; -1 and errno. A file of that name which is not ours is refused.
 */
static int
reopen(const segment *of)
{
    int fd = -1;
    for (place where = FOR_ALL; fd < 0 && where <= FOR_USER; where++) {
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

static void
raise_to(_Atomic(uint64_t) *number, uint64_t value)
{
    uint64_t now = atomic_load_explicit(number, memory_order_relaxed);
    while (now < value && !atomic_compare_exchange_weak_explicit(
                              number, &now, value, memory_order_release, memory_order_relaxed)) {
    }
}

static void
publish_growth(segment *of, uint64_t allocated)
{
    STORING("allocated");
    raise_to(shared_u64(&header_of(of)->allocated), allocated);
    raise_to(&of->allocated, allocated);
}

/* The kernel cannot allocate behind a mapping: one thread does it through the file's path. */
static journal_failure
grow_by_path(journal_state *state, segment *of, uint64_t least, uint64_t wanted)
{
    if (header_of(of)->offset != 0) {
        return failure_at(EOPNOTSUPP, JOURNAL_STAGE_GROW); /* a slot, whose file we cannot reach */
    }
    if (journal_lock_open(state) != 0) {
        return failure_at(EAGAIN, JOURNAL_STAGE_BUSY);
    }
    journal_failure err = NO_FAILURE;
    uint64_t from = atomic_load_explicit(&of->allocated, memory_order_acquire);
    if (from < least) {
        int fd = reopen(of);
        int error = fd < 0 ? errno : allocate_by_descriptor(fd, from, wanted);
        if (error != 0) {
            err = failure_at(error, JOURNAL_STAGE_GROW);
        } else {
            publish_growth(of, wanted);
        }
        if (fd >= 0) {
            (void)SYSTEM("close", -1, close(fd));
        }
    }
    journal_unlock_open(state);
    return err;
}

/* Blocks up to at least `least`. Any number of threads may do this at once: the same range is
 * allocated twice, and nothing is written. */
journal_failure
journal_grow(journal_state *state, segment *of, uint64_t least, int ignore_backoff)
{
    if (!ignore_backoff && !journal_backoff_expired(&state->growing)) {
        return unpack(atomic_load_explicit(&state->growing.failure, memory_order_relaxed));
    }
    int saved = errno;
    uint64_t from = atomic_load_explicit(&of->allocated, memory_order_acquire);
    uint64_t chunk = max_u64(GROWTH_MIN, min_u64(GROWTH_MAX, from / 2));
    uint64_t wanted = min_u64(of->capacity, round_up(max_u64(least, from + chunk)));
    journal_failure err = NO_FAILURE;
    int error = EINVAL;
    if (!atomic_load_explicit(&cannot_populate, memory_order_relaxed)) {
        error = journal_populate(of->base, from, wanted);
        if (error != 0 && error != EINVAL && wanted > round_up(least)) {
            wanted = round_up(least); /* the last free blocks of a disk */
            error = journal_populate(of->base, from, wanted);
        }
        if (error == 0) {
            publish_growth(of, wanted);
        } else if (error != EINVAL) {
            err = failure_at(error, JOURNAL_STAGE_GROW);
        } else {
            atomic_store_explicit(&cannot_populate, 1, memory_order_relaxed);
        }
    }
    if (error == EINVAL) {
        err = grow_by_path(state, of, least, wanted);
    }
    if (!ignore_backoff || err.error == 0) {
        journal_backoff_update(&state->growing,
                               err); /* a long text that found no room is no reason to pause */
    }
    errno = saved;
    return err;
}

/* The segment `full` has no room for `size` bytes: make the next one, unless another thread did. */
journal_failure
journal_next_segment(journal_state *state, const segment *full, uint64_t size, int ignore_backoff)
{
    if (!ignore_backoff && !journal_backoff_expired(&state->growing)) {
        return unpack(atomic_load_explicit(&state->growing.failure, memory_order_relaxed));
    }
    int saved = errno;
    if (journal_lock_open(state) != 0) {
        return failure_at(EAGAIN, JOURNAL_STAGE_BUSY);
    }
    journal_failure err = NO_FAILURE;
    if (last_segment(state) == full) {
        uint64_t used = atomic_load_explicit(&full->allocated, memory_order_relaxed);
        uint32_t count = atomic_load_explicit(&state->count, memory_order_relaxed);
        err = journal_make_segment(state, count, JOURNAL_HEADER_SIZE + size);
        if (size < journal_slot_size() / 2 || err.error == 0) {
            journal_backoff_update(&state->growing,
                                   err); /* for what is longer a short fact need not wait */
        }
        if (err.error == 0) {
            /* Its pages stay in the file; they need not count as resident any more. */
            (void)SYSTEM("madvise(dontneed)", -1, madvise(full->base, (size_t)used, MADV_DONTNEED));
        }
    }
    journal_unlock_open(state);
    errno = saved;
    return err;
}
