/* journal/system.h - the seam to the system: calls, stores that others see, clocks, pages.
 *
 * Every other file of the writer includes this one first: it asks the C library for its extensions.
 * Threads: any. Signals: nothing here allocates or locks.
 * Must never know: what a journal is.
 */
#ifndef COVSUP_JOURNAL_SYSTEM_H
#define COVSUP_JOURNAL_SYSTEM_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#ifndef _DARWIN_C_SOURCE
#define _DARWIN_C_SOURCE 1
#endif

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#ifdef __linux__
#ifndef MADV_WIPEONFORK
#define MADV_WIPEONFORK 18
#endif
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif
#endif

/* Every system call goes through SYSTEM, and STORING precedes every store that publishes something.
 * A test build counts both. It makes the n-th call fail, or kills the process there. */
#ifdef JOURNAL_SEAM
extern int journal_seam(const char *call); /* 0: go on; -1: fail, errno is set */
#define SYSTEM(name, on_failure, call) (journal_seam(name) != 0 ? (on_failure) : (call))
#define STORING(what) ((void)journal_seam(what))
#else
#define SYSTEM(name, on_failure, call) (call)
#define STORING(what) ((void)0)
#endif

/* Bytes in a page. journal_start() sets it before anything else runs; it never changes again. */
extern uint64_t journal_page_size;

uint64_t journal_clock_ns(clockid_t clock);

/* Time since the machine started, sleep included. */
uint64_t journal_boottime_ns(void);

/* `size` in whole pages. */
static inline uint64_t
round_up(uint64_t size)
{
    return (size + journal_page_size - 1) / journal_page_size * journal_page_size;
}

static inline uint64_t
min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static inline uint64_t
max_u64(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

#endif
