/* journal/mappings.c - what is mapped of journals. See mappings.h.
 *
 * Must never know: Python, what is stored in a mapping.
 */
#include "journal/mappings.h"

/* Written with the open lock held. */
mapping journal_mappings[SEGMENTS_MAX];
_Atomic uint32_t journal_mapping_count;
mapping journal_windows[SEGMENTS_MAX];
_Atomic uint32_t journal_window_count;

journal_header *
journal_inherited_header(void)
{
    if (atomic_load_explicit(&journal_mapping_count, memory_order_acquire) == 0) {
        return NULL;
    }
    mapping first = journal_mappings[0];
    uint64_t magic;
    memcpy(&magic, JOURNAL_MAGIC, sizeof(magic));
    if (first.base == NULL || first.length < JOURNAL_HEADER_SIZE ||
        atomic_load_explicit((_Atomic(uint64_t) *)(void *)first.base, memory_order_acquire) !=
            magic) {
        return NULL;
    }
    return (journal_header *)(void *)first.base;
}

void
journal_close_window(mapping *window)
{
    if (window->base != NULL) {
        (void)SYSTEM("munmap", -1, munmap(window->base, (size_t)window->length));
    }
    *window = (mapping){NULL, 0, 0};
}

void
journal_unmap_inherited_slots(void)
{
    uint32_t count = atomic_exchange(&journal_window_count, 0);
    for (uint32_t i = 0; i < count; i++) {
        journal_close_window(&journal_windows[i]);
    }
}

char *
journal_take_inherited(const journal_state *state, uint64_t length)
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

void
journal_unmap_inherited(const journal_state *state)
{
    char *parent = (char *)atomic_load_explicit(&state->parent_header, memory_order_relaxed);
    uint32_t count = atomic_load_explicit(&journal_mapping_count, memory_order_acquire);
    for (uint32_t i = 0; i < count; i++) {
        mapping old = journal_mappings[i];
        journal_mappings[i] = (mapping){NULL, 0, 0};
        /* A mapping may be half made, if the fork came meanwhile. Other threads may still count in
         * the parent's header. */
        if (old.base != NULL && old.length != 0 && old.base != parent) {
            (void)SYSTEM("munmap", -1, munmap(old.base, (size_t)old.length));
        }
    }
    atomic_store_explicit(&journal_mapping_count, 0, memory_order_release);
    journal_unmap_inherited_slots();
}

static int
replace_all(mapping *mapped, _Atomic uint32_t *count)
{
    int rc = 0;
    for (uint32_t i = 0; i < atomic_load_explicit(count, memory_order_acquire); i++) {
        mapping of = mapped[i];
        mapped[i] = (mapping){NULL, 0, 0};
        if (of.base != NULL && of.length != 0 &&
            SYSTEM("mmap(replace)", MAP_FAILED,
                   mmap(of.base, (size_t)of.length, PROT_READ | PROT_WRITE,
                        MAP_FIXED | MAP_PRIVATE | MAP_ANON, -1, 0)) == MAP_FAILED) {
            rc = -1;
        }
    }
    atomic_store_explicit(count, 0, memory_order_release);
    return rc;
}

int
journal_replace_mappings(void)
{
    int files = replace_all(journal_mappings, &journal_mapping_count);
    int slots = replace_all(journal_windows, &journal_window_count);
    return files == 0 ? slots : files;
}

static int
sync_all(const mapping *mapped, _Atomic uint32_t *count)
{
    int rc = 0;
    for (uint32_t i = 0; i < atomic_load_explicit(count, memory_order_acquire); i++) {
        mapping of = mapped[i];
        if (of.base != NULL &&
            SYSTEM("msync", -1, msync(of.base, (size_t)of.length, MS_SYNC)) != 0) {
            rc = -1;
        }
    }
    return rc;
}

int
journal_sync(void)
{
    int files = sync_all(journal_mappings, &journal_mapping_count);
    int slots = sync_all(journal_windows, &journal_window_count);
    return files == 0 ? slots : files;
}

int
journal_tail_at(uint32_t index, journal_tail *found)
{
    journal_state *state = journal_own_state();
    if (state == NULL || index >= atomic_load_explicit(&state->count, memory_order_acquire)) {
        return -1;
    }
    journal_header *header = header_of(&state->segments[index]);
    memcpy(found->image_id, header->image_id, sizeof(found->image_id));
    found->segment = header->segment;
    found->tail = atomic_load_explicit(shared_u64(&header->tail), memory_order_acquire);
    return 0;
}
