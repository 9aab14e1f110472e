/* journal/events.c - events and properties of this image, and the count of its threads.
 *
 * Threads: any.
 * Signals: journal_event() allocates nothing and takes no lock but the open lock, with which a
 * handler that interrupted its holder is refused.
 * Must never know: Python, what an event means.
 */
#include "journal/losses.h"
#include "journal/open.h"
#include "journal/properties.h"
#include "journal/state.h"

#define VALUE_MAX 4096 /* of a property: it is there to be read, and a journal is small */

int
journal_event(unsigned kind, const void *data, size_t size)
{
    uint8_t prefix[12];
    uint32_t kind32 = kind;
    uint64_t now = journal_clock_ns(CLOCK_REALTIME);
    memcpy(prefix, &kind32, sizeof(kind32));
    memcpy(prefix + sizeof(kind32), &now, sizeof(now));
    if (journal_open(1) != 0) {
        return journal_count_loss_unopened(LOST_EVENT);
    }
    part parts[] = {{prefix, sizeof(prefix)}, {data, size}};
    journal_failure err =
        journal_store_blob(atomic_load(&journal_current_state), BLOB_EVENT, parts, 2, 1);
    return err.error == 0 ? 0 : journal_count_loss(LOST_EVENT, err);
}

int
journal_property(const char *key, const void *value, size_t size)
{
    part parts[] = {{key, strlen(key)}, {"", 1}, {value, size < VALUE_MAX ? size : VALUE_MAX}};
    if (journal_open(1) != 0) {
        return journal_count_loss_unopened(LOST_EVENT);
    }
    journal_failure err =
        journal_store_blob(atomic_load(&journal_current_state), BLOB_PROPERTY, parts, 3, 1);
    journal_save_property(parts);
    return err.error == 0 ? 0 : journal_count_loss(LOST_EVENT, err);
}

void
journal_thread_started(void)
{
    if (journal_open(0) == 0) {
        /* Counted in the first segment; the others keep 0. */
        const segment *first = &atomic_load(&journal_current_state)->segments[0];
        atomic_fetch_add_explicit(shared_u64(&header_of(first)->threads_started), 1,
                                  memory_order_relaxed);
    }
}
