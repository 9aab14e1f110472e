/* audit_hook.c - the audit hook that is added before Python is initialised.
 *
 * PySys_AddAuditHook() allocates an entry {next, function, data} and appends it to a list that
 * begins in _PyRuntime. Python has no call to remove one. At its end it frees the entries by its
 * allocator at that time. With -X dev or PYTHONMALLOC that is another allocator than before
 * initialisation, and aborts. So the entry's address is recorded when it is allocated: by its value
 * the beginning of the list is found in _PyRuntime, and the entry is freed by the allocator that
 * made it.
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

/* Set once before main(); `at_end` and `entry` change at Python's end, under the GIL. */
static void (*get_allocator)(int, allocator *);
static void (*set_allocator)(int, const allocator *);
static allocator at_start, at_end;
static hook_entry *entry; /* NULL: not known, or removed */

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
        entry = NULL; /* the last allocation was for something else */
    }
    return rc == 0;
}

/* The only pointer to the entry in _PyRuntime, or NULL. */
static hook_entry **
find_beginning(void)
{
    hook_entry **found = NULL;
#ifdef __GLIBC__ /* other C libraries do not give the size of a symbol */
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
        /* Another thread may be walking the list: the entry itself stays, with its `next`. */
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
