/* journal/segment.c - the segments of a journal. See segment.h.
 *
 * Must never know: Python, what is stored in a segment.
 */
#include "journal/segment.h"

#include "journal/blocks.h"
#include "journal/identity.h"
#include "journal/segment_file.h"
#include "journal/slot.h"

#define GROWTH_MIN UINT64_C(8192)
#define GROWTH_MAX (UINT64_C(256) << 10)

/* Write the header of a new segment. `offset` is where it begins in its file: 0, or its slot. The
 * magic comes last, so that readers see a whole header or none. */
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

/* Segment `index` in a file of its own. */
static journal_failure
make_in_file(const journal_state *state, uint32_t index, uint64_t least, segment *made)
{
    mapping file = {NULL, 0, 0};
    uint64_t allocated = round_up(FIRST_BLOCKS);
    journal_failure err = journal_make_segment_file(state, index, least, allocated, &file);
    if (err.error != 0) {
        return err;
    }
    if (index == 0) {
        journal_unmap_inherited(state);
    }
    journal_mappings[index] = file;
    atomic_store_explicit(&journal_mapping_count, index + 1, memory_order_release);
    write_header(&file, index, 0, allocated);
    made->base = file.base;
    made->capacity = file.length;
    atomic_store_explicit(&made->allocated, allocated, memory_order_relaxed);
    return NO_FAILURE;
}

/* Segment `index` in a slot of the first file that is mapped: an inherited one, or this process's
 * own if its first segment has a file. */
static journal_failure
make_in_slot(journal_state *state, uint32_t index, uint64_t least, segment *made)
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

journal_failure
journal_make_segment(journal_state *state, uint32_t index, uint64_t least)
{
    least = round_up(max_u64(least, FIRST_BLOCKS));
    if (index >= SEGMENTS_MAX) {
        return failure_at(EFBIG, JOURNAL_STAGE_SEGMENT);
    }
    segment *made = &state->segments[index];
    /* All segments of an image are in the file that has its first one, or in files of their own. */
    int uses_parent_file =
        (int)atomic_load_explicit(&state->uses_parent_file, memory_order_relaxed);
    journal_failure err = uses_parent_file ? make_in_slot(state, index, least, made)
                                           : make_in_file(state, index, least, made);
    if (err.error != 0 && !uses_parent_file && make_in_slot(state, index, least, made).error == 0) {
        err = NO_FAILURE;
    }
    if (err.error != 0) {
        return err;
    }
    STORING("segment");
    atomic_store_explicit(&state->count, index + 1, memory_order_release);
    return NO_FAILURE;
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

/* Allocate by a descriptor, where the kernel cannot do it through the mapping. One thread at a time
 * opens the file by its path. */
static journal_failure
grow_by_path(journal_state *state, segment *of, uint64_t least, uint64_t wanted)
{
    if (header_of(of)->offset != 0) {
        return failure_at(EOPNOTSUPP, JOURNAL_STAGE_GROW); /* a slot: its file cannot be opened */
    }
    if (journal_lock_open(state) != 0) {
        return failure_at(EAGAIN, JOURNAL_STAGE_BUSY);
    }
    journal_failure err = NO_FAILURE;
    uint64_t from = atomic_load_explicit(&of->allocated, memory_order_acquire);
    if (from < least) {
        int fd = journal_reopen_segment_file(of);
        int error = fd < 0 ? errno : journal_allocate_by_descriptor(fd, from, wanted);
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

/* Several threads may do this at once: a range is then allocated twice, and nothing is written. */
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
    if (journal_can_populate()) {
        error = journal_populate(of->base, from, wanted);
        if (error != 0 && error != EINVAL && wanted > round_up(least)) {
            wanted = round_up(least); /* the disk may have room for this much */
            error = journal_populate(of->base, from, wanted);
        }
        if (error == 0) {
            publish_growth(of, wanted);
        } else if (error != EINVAL) {
            err = failure_at(error, JOURNAL_STAGE_GROW);
        } else {
            journal_note_no_populate();
        }
    }
    if (error == EINVAL) {
        err = grow_by_path(state, of, least, wanted);
    }
    if (!ignore_backoff || err.error == 0) {
        /* Facts need not pause because a long text found no room. */
        journal_backoff_update(&state->growing, err);
    }
    errno = saved;
    return err;
}

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
            journal_backoff_update(&state->growing, err); /* facts need not pause for a long text */
        }
        if (err.error == 0) {
            /* Nothing writes to `full` any more: its pages need not stay in memory. */
            (void)SYSTEM("madvise(dontneed)", -1, madvise(full->base, (size_t)used, MADV_DONTNEED));
        }
    }
    journal_unlock_open(state);
    errno = saved;
    return err;
}
