/* A signal handler of the target's on an alternate stack that is as small as it may be, above a
 * page that nobody may touch. */
#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

static volatile sig_atomic_t came, on_alternate;
static uintptr_t start, end;

static void
on_signal(int number)
{
    uintptr_t here = (uintptr_t)__builtin_frame_address(0);
    (void)number;
    came++;
    on_alternate = here >= start && here < end;
}

long
smallest(void)
{
    return sysconf(_SC_MINSIGSTKSZ);
}

/* Give this thread an alternate stack of so many bytes. */
int
give_stack(long size)
{
    long page = sysconf(_SC_PAGESIZE);
    char *memory = mmap(NULL, (size_t)(size + 2 * page), PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED || mprotect(memory, (size_t)page, PROT_NONE) != 0) {
        return -1;
    }
    stack_t stack = {.ss_sp = memory + page, .ss_size = (size_t)size};
    start = (uintptr_t)stack.ss_sp;
    end = start + stack.ss_size;
    return sigaltstack(&stack, NULL);
}

int
handle(int number, int flags)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = flags};
    return sigaction(number, &action, NULL);
}

int
times(void)
{
    return came;
}

int
was_on_alternate(void)
{
    return on_alternate;
}
