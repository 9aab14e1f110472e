/* counted_interpreter.c - Python that writes gcov's counters before it ends without exit handlers.
 *
 * gcov writes them in an exit handler, which os._exit(), exec and a signal that the process sends
 * to itself pass over. A process that another one kills still loses its counters. */
#define _GNU_SOURCE
#include <Python.h>

#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SEEN_BY_EXTENSIONS __attribute__((visibility("default")))

static void (*write_functions[8])(void); /* under the GIL: an import adds to them */
static int write_count;
static pid_t owner; /* set before main, and in a forked child before it runs anything */

/* Each extension has counters and a function to write them of its own. */
SEEN_BY_EXTENSIONS void
covsup_write_counters_with(void (*function)(void))
{
    if (write_count < 8) {
        write_functions[write_count++] = function;
    }
}

static void
set_owner(void)
{
    owner = getpid();
}

static void
write_counters(void)
{
    /* The memory of a vfork()ed child is its parent's, which writes the counters itself. */
    if (getpid() == owner) {
        for (int i = 0; i < write_count; i++) {
            write_functions[i]();
        }
    }
}

SEEN_BY_EXTENSIONS void
_exit(int status)
{
    write_counters();
    for (;;) {
        syscall(SYS_exit_group, status);
    }
}

SEEN_BY_EXTENSIONS void
_Exit(int status)
{
    _exit(status);
}

SEEN_BY_EXTENSIONS int
execve(const char *path, char *const *arguments, char *const *environment)
{
    int (*real)(const char *, char *const *, char *const *) = dlsym(RTLD_NEXT, "execve");
    write_counters();
    return real(path, arguments, environment);
}

SEEN_BY_EXTENSIONS int
execv(const char *path, char *const *arguments)
{
    return execve(path, arguments, environ);
}

SEEN_BY_EXTENSIONS int
kill(pid_t pid, int number)
{
    int (*real)(pid_t, int) = dlsym(RTLD_NEXT, "kill");
    if (pid == getpid()) {
        write_counters();
    }
    return real(pid, number);
}

SEEN_BY_EXTENSIONS int
raise(int number)
{
    int (*real)(int) = dlsym(RTLD_NEXT, "raise");
    write_counters();
    return real(number);
}

SEEN_BY_EXTENSIONS void
abort(void)
{
    void (*real)(void) = dlsym(RTLD_NEXT, "abort");
    write_counters();
    real();
    for (;;) {
    }
}

int
main(int argc, char **argv)
{
    set_owner();
    pthread_atfork(NULL, NULL, set_owner);
    return Py_BytesMain(argc, argv);
}
