/* journal/identity.c - the identity of this process image, and of its parent image. See identity.h.
 *
 * Must never know: Python, files, mappings.
 */
#include "journal/identity.h"

#include <stdatomic.h>

#ifdef __APPLE__
#include <sys/random.h>
#endif

/* A new identity is made beside the old one, then one store switches to it. A fork by another
 * thread copies either of them whole. Written with the open lock held. */
static struct {
    _Alignas(512) identity of[2];
    _Atomic uint32_t current;
} identities;

const identity *
journal_identity_now(void)
{
    return &identities.of[atomic_load_explicit(&identities.current, memory_order_acquire)];
}

/* The finaliser of splitmix64: every input bit affects every output bit. */
static uint64_t
mixed(uint64_t number)
{
    number += UINT64_C(0x9e3779b97f4a7c15);
    number = (number ^ number >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    number = (number ^ number >> 27) * UINT64_C(0x94d049bb133111eb);
    return number ^ number >> 31;
}

static void
make_image_id(uint8_t id[JOURNAL_IMAGE_ID_SIZE])
{
    if (SYSTEM("getentropy", -1, getentropy(id, JOURNAL_IMAGE_ID_SIZE)) == 0) {
        return;
    }
    /* No random source (seccomp, an old kernel): hash what differs between two processes. */
    uint64_t before[2];
    memcpy(before, journal_identity_now()->image_id, sizeof(before));
    uint64_t hash = (uint64_t)getpid();
    uint64_t seeds[] = {journal_clock_ns(CLOCK_REALTIME), journal_boottime_ns(),
                        (uint64_t)(uintptr_t)&seeds, before[0], before[1]};
    for (size_t half = 0; half < 2; half++) {
        for (size_t i = 0; i < sizeof(seeds) / sizeof(seeds[0]); i++) {
            hash = mixed(hash ^ seeds[i]);
        }
        memcpy(id + sizeof(hash) * half, &hash, sizeof(hash));
    }
}

static void
become(const uint8_t parent[JOURNAL_IMAGE_ID_SIZE], uint32_t generation,
       journal_start_kind start_kind)
{
    uint32_t current = atomic_load_explicit(&identities.current, memory_order_relaxed);
    identity *next = &identities.of[1 - current];
    memcpy(next->parent_image_id, parent, sizeof(next->parent_image_id));
    make_image_id(next->image_id);
    next->pid = (uint64_t)getpid();
    next->ppid = (uint64_t)getppid();
    next->start_realtime_ns = journal_clock_ns(CLOCK_REALTIME);
    next->start_boottime_ns = journal_boottime_ns();
    next->generation = generation;
    next->start_kind = start_kind;
    atomic_store_explicit(&identities.current, 1 - current, memory_order_release);
}

static int
hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Read digits up to `end`. NULL: none, or too many. */
static const char *
read_number(const char *text, char end, uint64_t *number)
{
    const char *at = text;
    for (*number = 0; *at >= '0' && *at <= '9' && at - text < 18; at++) {
        *number = *number * 10 + (uint64_t)(*at - '0');
    }
    return at != text && *at == end ? at + 1 : NULL;
}

/* Split "<32 hex>.<pid>.<generation>". -1: the value is not of that form. */
static int
read_parent_value(const char *text, uint8_t id[JOURNAL_IMAGE_ID_SIZE], uint64_t *pid,
                  uint64_t *generation)
{
    for (int i = 0; i < JOURNAL_IMAGE_ID_SIZE; i++) {
        int high = hex_digit(text[2 * i]);
        int low = high < 0 ? -1 : hex_digit(text[2 * i + 1]);
        if (low < 0) {
            return -1;
        }
        id[i] = (uint8_t)(high << 4 | low);
    }
    if (text[2 * JOURNAL_IMAGE_ID_SIZE] != '.') {
        return -1;
    }
    const char *at = read_number(text + 2 * JOURNAL_IMAGE_ID_SIZE + 1, '.', pid);
    return at != NULL && read_number(at, '\0', generation) != NULL ? 0 : -1;
}

void
journal_identify(const char *covsup_parent)
{
    uint8_t parent[JOURNAL_IMAGE_ID_SIZE];
    uint64_t pid;
    uint64_t generation;
    if (covsup_parent == NULL || read_parent_value(covsup_parent, parent, &pid, &generation) != 0) {
        memset(parent, 0, sizeof(parent));
        become(parent, 0, JOURNAL_SPAWNED);
    } else if (pid == (uint64_t)getpid()) {
        become(parent, (uint32_t)generation + 1, JOURNAL_EXECED);
    } else {
        become(parent, 0, JOURNAL_SPAWNED);
    }
}

void
journal_identify_child(void)
{
    become(journal_identity_now()->image_id, 0, JOURNAL_FORKED);
}
