/* journal/window.c - map another part of a file that is mapped already, without a descriptor.
 *
 * mremap() of a shared mapping with an old size of 0 leaves that mapping alone and maps the same
 * file once more, from the same offset on, in any length (mremap(2), Linux only). So a process with
 * no free descriptor, another root or another user still reaches all of its file, and no process
 * keeps address space that it does not use.
 *
 * Threads: any; the mapping that the window is reached through stays as it is.
 * Signals: no malloc, no stdio.
 * Must never know: Python, what is stored in a window.
 */
#include "journal/window.h"

#if defined(__linux__)

/* Map `length` bytes of the file once more, from the part on that is mapped at `from`. */
static char *
map_again(char *from, uint64_t length)
{
    void *mapped = SYSTEM("mremap", MAP_FAILED, mremap(from, 0, (size_t)length, MREMAP_MAYMOVE));
    return mapped == MAP_FAILED ? NULL : mapped;
}

/* A mapping that begins at the last mapped page reaches the window and is then cut. Where the
 * address space has no room for all of it, it goes there in steps. */
int
journal_open_window(const mapping *file, uint64_t offset, uint64_t length, mapping *window)
{
    uint64_t end = offset + length;
    mapping step = {file->base, file->length, 0}; /* the last mapping on the way */
    uint64_t at = 0;                              /* where in the file it begins */
    uint64_t longest = UINT64_MAX;
    for (;;) {
        uint64_t next_at = at + step.length - journal_page_size;
        uint64_t next_length = end - next_at;
        if (next_length > longest) {
            next_length = min_u64(longest, offset + journal_page_size - next_at);
        }
        char *next = map_again(step.base + step.length - journal_page_size, next_length);
        if (next == NULL && errno == ENOMEM && next_length / 2 > length + journal_page_size) {
            longest = round_up(next_length / 2);
            continue;
        }
        int error = errno;
        if (step.base != file->base) {
            (void)SYSTEM("munmap", -1, munmap(step.base, (size_t)step.length));
        }
        if (next == NULL) {
            return error;
        }
        step = (mapping){next, next_length, 0};
        at = next_at;
        if (at + step.length == end) {
            break;
        }
    }
    if (at < offset) {
        (void)SYSTEM("munmap", -1, munmap(step.base, (size_t)(offset - at)));
    }
    *window = (mapping){step.base + (offset - at), length, 0};
    return 0;
}

#else

int
journal_open_window(const mapping *file, uint64_t offset, uint64_t length, mapping *window)
{
    (void)file, (void)offset, (void)length, (void)window;
    return ENOSYS;
}

#endif
