/* journal/slot.c - a journal without a file of its own: a slot in one that is mapped already.
 *
 * A process that has become another user, has another root directory or no free descriptor cannot
 * make a file in the session directory. Neither can its forked children. But they inherit the
 * mapping of a journal. Its file is longer than the mapping: behind the words it has slots, and one
 * process may write an ordinary journal in each. A slot is mapped when it is claimed, through the
 * inherited mapping (window.h). Why slots and not a file made in advance: docs/architecture.md.
 *
 * Threads: a slot is claimed by one compare-and-swap in the shared header, so no two processes or
 * threads ever have the same one.
 * Fork: a child that uses a slot passes the mapping on to its own children.
 * Disk: blocks are allocated before anything is written, as in a file. Where the kernel cannot
 * allocate through a mapping, no slot can be claimed.
 * Must never know: Python, what is stored in a slot.
 */
#include "journal/slot.h"

#include "journal/blocks.h"
#include "journal/window.h"

#define SLOT_SIZE UINT64_C(16384)

uint64_t
journal_slot_size(void)
{
    return round_up(max_u64(SLOT_SIZE, FIRST_BLOCKS));
}

/* The slots follow the part that is mapped for the file's own header and words. */
uint64_t
journal_slots_at(const mapping *file)
{
    uint64_t size = journal_slot_size();
    return (file->length + size - 1) / size * size;
}

uint64_t
journal_slot_count(const mapping *file)
{
    uint64_t at = journal_slots_at(file);
    return at < file->file_length ? (file->file_length - at) / journal_slot_size() : 0;
}

journal_failure
journal_claim_slot(uint32_t index, uint64_t *offset, uint64_t *allocated)
{
    journal_header *header = journal_inherited_header();
    if (header == NULL) {
        return failure_at(ENOENT, JOURNAL_STAGE_SEGMENT);
    }
    /* Compute the slots from this process's own data. Other processes can write the header. */
    mapping file = journal_mappings[0];
    uint64_t size = journal_slot_size();
    uint64_t slots_at = journal_slots_at(&file);
    uint64_t count = journal_slot_count(&file);
    _Atomic(uint64_t) *used_field = shared_u64(&header->slots_used);
    uint64_t used = atomic_load_explicit(used_field, memory_order_relaxed);
    mapping window = {NULL, 0, 0};
    *allocated = round_up(FIRST_BLOCKS);
    do {
        journal_close_window(&window);
        if (used >= count) {
            return failure_at(ENOSPC, JOURNAL_STAGE_SEGMENT);
        }
        *offset = slots_at + used * size;
        int error = journal_open_window(&file, *offset, size, &window);
        if (error != 0) {
            return failure_at(error, JOURNAL_STAGE_MAP);
        }
        /* Allocate before the claim, so that a full disk uses up no slot. */
        error = journal_populate(window.base, 0, *allocated);
        if (error != 0) {
            journal_close_window(&window);
            return failure_at(error, JOURNAL_STAGE_FILL);
        }
        STORING("slot");
    } while (!atomic_compare_exchange_weak_explicit(used_field, &used, used + 1,
                                                    memory_order_acq_rel, memory_order_relaxed));
    if (index == 0) {
        journal_unmap_inherited_slots();
    }
    journal_windows[index] = window;
    atomic_store_explicit(&journal_window_count, index + 1, memory_order_release);
    return NO_FAILURE;
}
