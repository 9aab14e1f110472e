/* clock_steps.c - preloaded: the wall clock steps to and fro ten times a second, by hours to years, for
 * all processes alike. The clocks that count since boot go on as they do. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <sys/time.h>
#include <time.h>

int
clock_gettime(clockid_t clock, struct timespec *now)
{
    static int (*real)(clockid_t, struct timespec *);
    if (real == NULL) {
        real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    }
    struct timespec since;
    int result = real(clock, now);
    if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE) &&
        real(CLOCK_BOOTTIME, &since) == 0) {
        unsigned period = (unsigned)(since.tv_sec * 10 + since.tv_nsec / 100000000);
        unsigned mixed = period * 2654435761U >> 8;
        long hours = mixed & 0xffff; /* up to seven years */
        now->tv_sec += (mixed >> 16 & 1 ? hours : -hours) * 3600;
    }
    return result;
}

int
gettimeofday(struct timeval *restrict now, void *restrict unused)
{
    struct timespec time;
    (void)unused;
    clock_gettime(CLOCK_REALTIME, &time);
    *now = (struct timeval){.tv_sec = time.tv_sec, .tv_usec = time.tv_nsec / 1000};
    return 0;
}

time_t
time(time_t *out)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (out != NULL) {
        *out = now.tv_sec;
    }
    return now.tv_sec;
}
