/* journal/system.c - clocks and the page size. See system.h.
 *
 * Must never know: what a journal is.
 */
#include "journal/system.h"

/* Set once before the first journal, by the holder of start_lock (open.c). */
uint64_t journal_page_size;

uint64_t
journal_clock_ns(clockid_t clock)
{
    struct timespec now = {0, 0};
    (void)clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

uint64_t
journal_boottime_ns(void)
{
#ifdef CLOCK_BOOTTIME
    return journal_clock_ns(CLOCK_BOOTTIME);
#else
    return journal_clock_ns(CLOCK_MONOTONIC); /* macOS: goes on while the machine sleeps */
#endif
}
