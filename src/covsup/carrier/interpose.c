/* interpose.c - the C library's functions that start programs, interposed.
 *
 * Each function calls the next one of its name, perhaps another preloaded library's, with an
 * environment that has the session; if nothing is missing, with the given one. Calls inside the C
 * library do not come here. So execv(), execl() and execvp() call the function here that takes an
 * environment, and system() and popen() rely on `environ`.
 *
 * Threads: where the C library's functions may be called: execve() also in a signal handler and in
 * a child of vfork(), which shares its parent's memory. So a new environment is made on the stack,
 * or beyond STACK_WORDS in a mapping, which a child of vfork() leaves to its parent. Must never
 * know: Python, what is passed on. */
#define _GNU_SOURCE
#include "interpose.h"

#include <dlfcn.h>
#include <errno.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "passed_variables.h"

extern char **environ;

#define STACK_WORDS 128 /* a signal handler may have little more */
#define PUBLIC __attribute__((visibility("default")))

typedef int execve_call(const char *, char *const[], char *const[]);
typedef int fexecve_call(int, char *const[], char *const[]);
typedef int execveat_call(int, const char *, char *const[], char *const[], int);
typedef int spawn_call(pid_t *, const char *, const posix_spawn_file_actions_t *,
                       const posix_spawnattr_t *, char *const[], char *const[]);
#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 39)
#define HAVE_PIDFD_SPAWN 1
#else
#define HAVE_PIDFD_SPAWN 0
#endif

#if HAVE_PIDFD_SPAWN
typedef int pidfd_spawn_call(int *, const char *, const posix_spawn_file_actions_t *,
                             const posix_spawnattr_t *, char *const[], char *const[]);
#endif

/* From dlsym(). Set once before main(), or with the same values by ensure_found(). */
static struct {
    execve_call *execve, *execvpe;
    fexecve_call *fexecve;
    execveat_call *execveat;
    spawn_call *posix_spawn, *posix_spawnp;
#if HAVE_PIDFD_SPAWN
    pidfd_spawn_call *pidfd_spawn, *pidfd_spawnp;
#endif
    int (*system)(const char *);
    FILE *(*popen)(const char *, const char *);
} next;

void
interpose_start(void)
{
    next.execve = (execve_call *)dlsym(RTLD_NEXT, "execve");
    next.execvpe = (execve_call *)dlsym(RTLD_NEXT, "execvpe");
    next.fexecve = (fexecve_call *)dlsym(RTLD_NEXT, "fexecve");
    next.execveat = (execveat_call *)dlsym(RTLD_NEXT, "execveat");
    next.posix_spawn = (spawn_call *)dlsym(RTLD_NEXT, "posix_spawn");
    next.posix_spawnp = (spawn_call *)dlsym(RTLD_NEXT, "posix_spawnp");
#if HAVE_PIDFD_SPAWN
    next.pidfd_spawn = (pidfd_spawn_call *)dlsym(RTLD_NEXT, "pidfd_spawn");
    next.pidfd_spawnp = (pidfd_spawn_call *)dlsym(RTLD_NEXT, "pidfd_spawnp");
#endif
    next.system = (int (*)(const char *))dlsym(RTLD_NEXT, "system");
    next.popen = (FILE * (*)(const char *, const char *)) dlsym(RTLD_NEXT, "popen");
}

/* Another library's constructor may run before this one's and start a program: look the functions
 * up then. */
static void
ensure_found(const void *function)
{
    if (function == NULL) {
        interpose_start();
    }
}

/* Do CALL, an expression of `with_session`, an environment with the session. The result and errno
 * are those of CALL. A macro, because the array has to live as long as the call. */
#define WITH_SESSION(environment, result, CALL)                                                    \
    do {                                                                                           \
        environment_scan look_;                                                                    \
        size_t words_ = environment_size(environment, &look_);                                     \
        bool mapped_ = words_ > STACK_WORDS;                                                       \
        void *on_stack_[words_ == 0 || mapped_ ? 1 : words_];                                      \
        char *const *with_session = environment;                                                   \
        void **space_ = mapped_ ? map_words(words_) : on_stack_;                                   \
        if (words_ > 0 && space_ != NULL) {                                                        \
            with_session = environment_make(environment, &look_, space_);                          \
        }                                                                                          \
        (result) = (CALL);                                                                         \
        if (mapped_ && space_ != NULL) {                                                           \
            unmap_words(space_, words_);                                                           \
        }                                                                                          \
    } while (0)

static void **
map_words(size_t words)
{
    int saved = errno;
    void *space = mmap(NULL, words * sizeof(void *), PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    errno = saved;
    return space == MAP_FAILED ? NULL : space;
}

static void
unmap_words(void **space, size_t words)
{
    int saved = errno;
    (void)munmap(space, words * sizeof(void *));
    errno = saved;
}

/* --- exec -------------------------------------------------------------------------------- */

PUBLIC int
execve(const char *path, char *const argv[], char *const envp[])
{
    int rc;
    ensure_found(next.execve);
    WITH_SESSION(envp, rc, next.execve(path, argv, with_session));
    return rc;
}

PUBLIC int
execv(const char *path, char *const argv[])
{
    return execve(path, argv, environ);
}

PUBLIC int
execvpe(const char *file, char *const argv[], char *const envp[])
{
    int rc;
    ensure_found(next.execvpe);
    WITH_SESSION(envp, rc, next.execvpe(file, argv, with_session));
    return rc;
}

PUBLIC int
execvp(const char *file, char *const argv[])
{
    return execvpe(file, argv, environ);
}

PUBLIC int
fexecve(int fd, char *const argv[], char *const envp[])
{
    int rc;
    ensure_found(next.fexecve);
    WITH_SESSION(envp, rc, next.fexecve(fd, argv, with_session));
    return rc;
}

static int
execveat_here(int directory, const char *path, char *const argv[], char *const envp[], int flags)
{
    if (next.execveat != NULL) {
        return next.execveat(directory, path, argv, envp, flags);
    }
    /* A C library that is older than the call. */
    return (int)syscall(SYS_execveat, directory, path, argv, envp, flags);
}

PUBLIC int
execveat(int directory, const char *path, char *const argv[], char *const envp[], int flags)
{
    int rc;
    ensure_found(next.execve);
    WITH_SESSION(envp, rc, execveat_here(directory, path, argv, with_session, flags));
    return rc;
}

/* Copy the arguments of an execl...() to an array, with the NULL at their end. */
#define LIST_WORDS(first, words, arguments)                                                        \
    do {                                                                                           \
        size_t at_ = 0;                                                                            \
        for (char *word_ = (char *)(first);; word_ = va_arg(arguments, char *)) {                  \
            (words)[at_++] = word_;                                                                \
            if (word_ == NULL) {                                                                   \
                break;                                                                             \
            }                                                                                      \
        }                                                                                          \
    } while (0)

static size_t
count_words(const char *first, va_list arguments)
{
    size_t count = 1;
    for (const char *word = first; word != NULL; word = va_arg(arguments, const char *)) {
        count++;
    }
    return count;
}

PUBLIC int
execl(const char *path, const char *first, ...)
{
    va_list arguments;
    va_start(arguments, first);
    size_t count = count_words(first, arguments);
    va_end(arguments);
    char *argv[count]; /* as the C library does */
    va_start(arguments, first);
    LIST_WORDS(first, argv, arguments);
    va_end(arguments);
    return execve(path, argv, environ);
}

PUBLIC int
execlp(const char *file, const char *first, ...)
{
    va_list arguments;
    va_start(arguments, first);
    size_t count = count_words(first, arguments);
    va_end(arguments);
    char *argv[count];
    va_start(arguments, first);
    LIST_WORDS(first, argv, arguments);
    va_end(arguments);
    return execvpe(file, argv, environ);
}

PUBLIC int
execle(const char *path, const char *first, ...)
{
    va_list arguments;
    va_start(arguments, first);
    size_t count = count_words(first, arguments);
    va_end(arguments);
    char *argv[count];
    va_start(arguments, first);
    LIST_WORDS(first, argv, arguments);
    char *const *envp = va_arg(arguments, char *const *);
    va_end(arguments);
    return execve(path, argv, envp);
}

/* --- spawn ------------------------------------------------------------------------------- */

/* One of these functions. They differ in the type of the first argument. */
#define SPAWN(name, process_type)                                                                  \
    PUBLIC int name(process_type *process, const char *program,                                    \
                    const posix_spawn_file_actions_t *actions,                                     \
                    const posix_spawnattr_t *attributes, char *const argv[], char *const envp[])   \
    {                                                                                              \
        int rc;                                                                                    \
        ensure_found(next.name);                                                                   \
        WITH_SESSION(envp, rc,                                                                     \
                     next.name(process, program, actions, attributes, argv, with_session));        \
        return rc;                                                                                 \
    }

SPAWN(posix_spawn, pid_t)
SPAWN(posix_spawnp, pid_t)
#if HAVE_PIDFD_SPAWN
SPAWN(pidfd_spawn, int)
SPAWN(pidfd_spawnp, int)
#endif

/* --- the shell --------------------------------------------------------------------------- */

PUBLIC int
system(const char *command)
{
    ensure_found(next.system);
    if (command != NULL) {
        environment_update_process();
    }
    return next.system(command);
}

PUBLIC FILE *
popen(const char *command, const char *mode)
{
    ensure_found(next.popen);
    environment_update_process();
    return next.popen(command, mode);
}
