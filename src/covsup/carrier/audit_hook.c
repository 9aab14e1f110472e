/* audit_hook.c - the audit hook that a Python which is not initialised yet is given.
 *
 * PySys_AddAuditHook() allocates an entry {next, function, data} and puts it at the end of a list
 * that begins in _PyRuntime. Python has no call that takes one away again, and frees them at its
 * end by the allocator that it has then: another one where it was told so (-X dev, PYTHONMALLOC),
 * which aborts. So the entry's address is noted when it is allocated. With that, the list's
 * beginning is found by its value, and the entry is given back to the allocator it came from.
 *
 * Threads, must never know: see audit_hook.h. */
#define _GNU_SOURCE
#include "audit_hook.h"

#include <dlfcn.h>
#include <link.h>
#include <stddef.h>
#include <string.h>

/* PyMemAllocatorEx */
typedef struct {
    void *context;
    void *(*malloc)(void *, size_t);
    void *(*calloc)(void *, size_t, size_t);
    void *(*realloc)(void *, void *, size_t);
    void (*free)(void *, void *);
} allocator;

enum { RAW = 0 }; /* PYMEM_DOMAIN_RAW */

/* _Py_AuditHookEntry */
typedef struct hook_entry {
    struct hook_entry *next;
    audit_hook *function;
    void *data;
} hook_entry;

static void (*get_allocator)(int, allocator *);
static void (*set_allocator)(int, const allocator *);
static allocator at_start, at_end;
static hook_entry *entry; /* NULL: it is not known, or no more */

static void *
recording_malloc(void *context, size_t size)
{
    return entry = at_start.malloc(context, size);
}

bool
audit_hook_add(audit_hook *hook)
{
    int (*add)(audit_hook *, void *);
    void *found[] = {dlsym(RTLD_DEFAULT, "PySys_AddAuditHook"),
                     dlsym(RTLD_DEFAULT, "PyMem_GetAllocator"),
                     dlsym(RTLD_DEFAULT, "PyMem_SetAllocator")};
    if (found[0] == NULL || found[1] == NULL || found[2] == NULL) {
        return false;
    }
    memcpy(&add, &found[0], sizeof(add));
    memcpy(&get_allocator, &found[1], sizeof(get_allocator));
    memcpy(&set_allocator, &found[2], sizeof(set_allocator));
    get_allocator(RAW, &at_start);
    allocator noting = at_start;
    noting.malloc = recording_malloc;
    set_allocator(RAW, &noting);
    int rc = add(hook, NULL);
    set_allocator(RAW, &at_start);
    if (entry != NULL && entry->function != hook) {
        entry = NULL; /* the last that was allocated was something else */
    }
    return rc == 0;
}

/* The one pointer in _PyRuntime that leads to the entry, or NULL. */
static hook_entry **
find_beginning(void)
{
    hook_entry **found = NULL;
#ifdef __GLIBC__ /* others do not tell how large it is */
    Dl_info info;
    const ElfW(Sym) *symbol = NULL;
    hook_entry **runtime = dlsym(RTLD_DEFAULT, "_PyRuntime");
    if (runtime == NULL || dladdr1(runtime, &info, (void **)&symbol, RTLD_DL_SYMENT) == 0 ||
        symbol == NULL || info.dli_saddr != (void *)runtime) {
        return NULL;
    }
    for (size_t i = 0; i < symbol->st_size / sizeof(*runtime); i++) {
        if (runtime[i] == entry) {
            if (found != NULL) {
                return NULL;
            }
            found = &runtime[i];
        }
    }
#endif
    return found;
}

void
audit_hook_remove(void)
{
    hook_entry **beginning = entry != NULL ? find_beginning() : NULL;
    if (beginning != NULL) {
        /* Whoever goes through the list now goes on from the entry, which therefore stays. */
        __atomic_store_n(beginning, entry->next, __ATOMIC_RELEASE);
        entry = NULL;
    }
}

static void
final_free(void *context, void *memory)
{
    if (memory != NULL && memory == entry) {
        entry = NULL;
        set_allocator(RAW, &at_end);
        at_start.free(at_start.context, memory);
    } else {
        at_end.free(context, memory);
    }
}

void
audit_hook_on_finalize(void)
{
    get_allocator(RAW, &at_end);
    if (entry != NULL && (at_end.free != at_start.free || at_end.context != at_start.context)) {
        allocator last = at_end;
        last.free = final_free;
        set_allocator(RAW, &last);
    }
}
