/* launcher.c - starts a program with nothing in its environment: launcher WAY PROGRAM [ARGUMENTS].
 *
 * The ways that end with a child wait for it, and give its status. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static char *none[] = {NULL};

static int
finish(pid_t pid)
{
    int status;
    if (pid < 0 || waitpid(pid, &status, 0) != pid) {
        perror("launcher");
        return 99;
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 98;
}

static void
many_variables(char **made, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (asprintf(&made[i], "VARIABLE_%zu=%zu", i, i) < 0) {
            abort();
        }
    }
    made[count] = NULL;
}

int
main(int argc, char **argv)
{
    const char *way = argv[1];
    char **words = argv + 2, *program = argv[2];
    char command[8192] = "";
    pid_t pid = -1;
    int fd;
    for (int i = 2; i < argc; i++) {
        strcat(strcat(strcat(command, "'"), argv[i]), "' ");
    }
    if (strcmp(way, "execve") == 0) {
        execve(program, words, none);
    } else if (strcmp(way, "execve_null") == 0) {
        execve(program, words, NULL);
    } else if (strcmp(way, "execve_many") == 0) {
        char **made = calloc(5001, sizeof(*made));
        many_variables(made, 5000);
        execve(program, words, made);
    } else if (strcmp(way, "execv") == 0) {
        clearenv();
        execv(program, words);
    } else if (strcmp(way, "execvp") == 0) {
        environ = none;
        execvp(program, words);
    } else if (strcmp(way, "execvpe") == 0) {
        execvpe(program, words, none);
    } else if (strcmp(way, "execl") == 0) {
        clearenv();
        execl(program, program, words[1], words[2], (char *)NULL);
    } else if (strcmp(way, "execlp") == 0) {
        clearenv();
        execlp(program, program, words[1], words[2], (char *)NULL);
    } else if (strcmp(way, "execle") == 0) {
        execle(program, program, words[1], (char *)NULL, none);
    } else if (strcmp(way, "fexecve") == 0) {
        fd = open(program, O_RDONLY | O_CLOEXEC);
        fexecve(fd, words, none);
    } else if (strcmp(way, "execveat") == 0) {
        execveat(AT_FDCWD, program, words, none, 0);
    } else if (strcmp(way, "fork") == 0) {
        pid = fork();
        if (pid == 0) {
            execve(program, words, none);
            _exit(97);
        }
        return finish(pid);
    } else if (strcmp(way, "vfork") == 0) {
        pid = vfork();
        if (pid == 0) {
            execve(program, words, none);
            _exit(97);
        }
        return finish(pid);
    } else if (strcmp(way, "posix_spawn") == 0) {
        errno = posix_spawn(&pid, program, NULL, NULL, words, none);
        return finish(pid);
    } else if (strcmp(way, "posix_spawnp") == 0) {
        errno = posix_spawnp(&pid, program, NULL, NULL, words, none);
        return finish(pid);
    } else if (strcmp(way, "system") == 0) {
        clearenv();
        return WEXITSTATUS(system(command));
    } else if (strcmp(way, "popen") == 0) {
        clearenv();
        return WEXITSTATUS(pclose(popen(command, "w")));
    } else if (strcmp(way, "says_its_errors") == 0) {
        posix_spawn_file_actions_t actions;
        posix_spawn_file_actions_init(&actions);
        int rc = execve("/no/such", words, none), number = errno;
        printf("execve %d %s\n", rc, strerrorname_np(number));
        rc = execvp("no-such-program", words), number = errno;
        printf("execvp %d %s\n", rc, strerrorname_np(number));
        errno = ENODATA;
        rc = posix_spawn(&pid, "/no/such", &actions, NULL, words, none), number = errno;
        printf("posix_spawn %s %s\n", strerrorname_np(rc), strerrorname_np(number));
        printf("system %d\n", system(NULL) != 0);
        printf("popen %d\n", popen("true", "no such mode") == NULL);
        return 0;
    }
    perror(way);
    return 96;
}
