/* journal_slot.c - a journal without a file of its own: a slot in one that is mapped already.
 *
 * A process that has become another user, has another root directory or no descriptor left cannot
 * make a file in the session directory, nor can its forked children. But they inherit the mapping
 * of a journal whose file has its full size: the upper half of it is slots, in each of which one
 * process may write an ordinary journal. Words and slots of a file never meet.
 *
 * Threads: a slot is claimed by one compare-and-swap in the shared header, so no two processes or
 * threads ever have the same one.
 * Fork: a child that lodges in the file hands the same mapping on to its own children.
 * Disk: as for files, blocks are allocated before anything is written; where the kernel cannot
 * allocate behind a mapping there are no slots.
 * Must never know: Python, what is stored in a slot.
 */
#include "journal_state.h"

#define SLOT_SIZE UINT64_C(16384)
#define SHORTEST_WITH_SLOTS (UINT64_C(1) << 20)

uint64_t
journal_slot_size(void)
{
    return round_up(max_u64(SLOT_SIZE, FIRST_BLOCKS));
}

/* How much of a file of this length is for its own header and words; the rest is slots. */
uint64_t
journal_words_room(uint64_t length)
{
    uint64_t size = journal_slot_size();
    return length < SHORTEST_WITH_SLOTS ? length : (length / 2 + size - 1) / size * size;
}

/* The header of the file that has slots for us, and counts what we lose without a journal; NULL:
 * none is mapped, or a fork caught it half made. */
journal_header *
journal_inherited_header(void)
{
    if (atomic_load_explicit(&journal_mapping_count, memory_order_acquire) == 0) {
        return NULL;
    }
    mapping host = journal_mappings[0];
    uint64_t magic;
    memcpy(&magic, JOURNAL_MAGIC, sizeof(magic));
    if (host.base == NULL || host.length < JOURNAL_HEADER_SIZE ||
        atomic_load_explicit((_Atomic(uint64_t) *)(void *)host.base, memory_order_acquire) !=
            magic) {
        return NULL;
    }
    return (journal_header *)(void *)host.base;
}

/* A slot with its first blocks, nothing in it yet. */
failure
journal_claim_slot(char **base, uint64_t *allocated)
{
    journal_header *header = journal_inherited_header();
    if (header == NULL) {
        return failed(ENOENT, JOURNAL_STAGE_SEGMENT);
    }
    /* The file is shared: where its slots are is known here, whatever became of its header. */
    uint64_t length = journal_mappings[0].length;
    uint64_t size = journal_slot_size();
    uint64_t slots_at = journal_words_room(length);
    uint64_t count = (length - slots_at) / size;
    _Atomic(uint64_t) *used_field = shared_u64(&header->slots_used);
    uint64_t used = atomic_load_explicit(used_field, memory_order_relaxed);
    *allocated = round_up(FIRST_BLOCKS);
    do {
        if (used >= count) {
            return failed(ENOSPC, JOURNAL_STAGE_SEGMENT);
        }
        *base = (char *)header + slots_at + used * size;
        /* Blocks first: whoever finds the disk full, again and again, uses no slot up. */
        int error = journal_populate(*base, 0, *allocated);
        if (error != 0) {
            return failed(error, JOURNAL_STAGE_FILL);
        }
        STORING("slot");
    } while (!atomic_compare_exchange_weak_explicit(used_field, &used, used + 1,
                                                    memory_order_acq_rel, memory_order_relaxed));
    return fine;
}
