/* journal/properties.c - properties of an image that its forked children share. See properties.h.
 *
 * Must never know: Python, what a property means.
 */
#include "journal/properties.h"

#include "journal/identity.h"
#include "journal/losses.h"

#define INHERITED_PROPERTIES_SIZE 4096

/* Properties for the journals of forked children: entries in a row, size 0 ends them. */
typedef struct {
    _Atomic uint32_t size; /* of the payload that follows; stored last */
    uint32_t check;        /* CRC-32 of it: a fork may have caught half of it */
} inherited_property;

/* A thread reserves its part by the atomic count below, and publishes it by the atomic size. */
static _Alignas(8) char inherited_properties[INHERITED_PROPERTIES_SIZE];
static _Atomic uint32_t inherited_properties_used;

void
journal_save_property(const part parts[3])
{
    size_t size = parts[0].size + parts[1].size + parts[2].size;
    if (size > INHERITED_PROPERTIES_SIZE) {
        return;
    }
    uint32_t room = (uint32_t)(sizeof(inherited_property) + (size + 7) / 8 * 8);
    uint32_t at = atomic_load(&inherited_properties_used);
    do {
        if (room > INHERITED_PROPERTIES_SIZE - at) {
            return;
        }
    } while (!atomic_compare_exchange_weak(&inherited_properties_used, &at, at + room));
    inherited_property *entry = (inherited_property *)(void *)(inherited_properties + at);
    char *to = (char *)(entry + 1);
    uint32_t check = 0;
    for (int i = 0; i < 3; i++) {
        if (parts[i].size != 0) {
            memcpy(to, parts[i].bytes, parts[i].size);
        }
        check = journal_crc32(check, to, parts[i].size);
        to += parts[i].size;
    }
    entry->check = check;
    atomic_store_explicit(&entry->size, (uint32_t)size, memory_order_release);
}

void
journal_rewrite_properties(journal_state *state)
{
    uint32_t used = atomic_load_explicit(&inherited_properties_used, memory_order_acquire);
    for (uint32_t at = 0; at + sizeof(inherited_property) <= used;) {
        inherited_property *entry = (inherited_property *)(void *)(inherited_properties + at);
        uint32_t size = atomic_load_explicit(&entry->size, memory_order_acquire);
        const char *payload = (const char *)(entry + 1);
        if (size == 0 || size > used - at - sizeof(*entry) ||
            journal_crc32(0, payload, size) != entry->check) {
            return; /* the fork came while it was saved; the parent's journal has it */
        }
        part whole = {payload, size};
        journal_failure err = journal_store_blob(state, BLOB_PROPERTY, &whole, 1, 1);
        if (err.error != 0) {
            (void)journal_count_loss(LOST_EVENT, err);
        }
        at += (uint32_t)(sizeof(*entry) + (size + 7) / 8 * 8);
    }
}

void
journal_forget_properties(void)
{
    atomic_store(&inherited_properties_used, 0);
    memset(inherited_properties, 0, sizeof(inherited_properties));
}

/* The first process of a pid namespace was forked by a process of another one (ppid 0). The saved
 * property names that other namespace, so a new one replaces it, for its children too. */
void
journal_write_pid_namespace(journal_state *state)
{
#ifdef __linux__
    static const char key[] = "pid_namespace"; /* with its NUL */
    char value[64];
    if (journal_identity_now()->ppid != 0) {
        return;
    }
    ssize_t size = SYSTEM("readlink", -1, readlink("/proc/self/ns/pid", value, sizeof(value)));
    part parts[] = {{key, sizeof(key) - 1}, {"", 1}, {value, size > 0 ? (size_t)size : 0}};
    journal_failure err = journal_store_blob(state, BLOB_PROPERTY, parts, 3, 1);
    journal_save_property(parts);
    if (err.error != 0) {
        (void)journal_count_loss(LOST_EVENT, err);
    }
#else
    (void)state;
#endif
}
