/* harness.c - a process that does to its journal what a script of one command a line says.
 *
 * Each command prints "<name> <result>" when it is done, unbuffered: what was printed had happened.
 * In a -DJOURNAL_SEAM build the environment says at which call of the seam the process shall fail
 * or die: SEAM_MODE=fail|die|interrupt, SEAM_AT=n, SEAM_ERRNO=e (fail), SEAM_CALL=name (only count
 * these). SEAM_ALWAYS=name=e,name=e makes calls of these names fail each time, uncounted.
 */
#define _GNU_SOURCE 1
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "journal/journal.h"
#include "journal/open.h"

#define WORDS_MAX 8
#define TEXT_MAX (1 << 20)

static char *at; /* the rest of the script */

static void
say(const char *format, ...)
{
    char text[512];
    va_list values;
    va_start(values, format);
    int size = vsnprintf(text, sizeof(text), format, values);
    va_end(values);
    for (int done = 0; done < size;) {
        ssize_t rc = write(STDOUT_FILENO, text + done, (size_t)(size - done));
        if (rc < 0 && errno != EINTR) {
            _exit(99);
        }
        done += rc > 0 ? (int)rc : 0;
    }
}

static void
die(const char *what)
{
    fprintf(stderr, "harness: %s: %s\n", what, strerror(errno));
    _exit(98);
}

#ifdef JOURNAL_SEAM
/* Shared by the whole tree, so that call n is one call in one of its processes. */
static _Atomic uint64_t *seam_count;

int
journal_seam(const char *call)
{
    static const char *const stores[] = {"tail", "word", "magic",
                                         "slot", "segment", "ready", "allocated"};
    const char *always = getenv("SEAM_ALWAYS");
    char key[64];
    int length = snprintf(key, sizeof(key), "%s=", call);
    const char *found = always != NULL ? strstr(always, key) : NULL;
    if (found != NULL && (found == always || found[-1] == ',')) {
        errno = atoi(found + length);
        return -1;
    }
    const char *only = getenv("SEAM_CALL");
    if (only != NULL && strcmp(only, call) != 0) {
        return 0;
    }
    uint64_t n = atomic_fetch_add(seam_count, 1) + 1;
    const char *mode = getenv("SEAM_MODE");
    if (mode == NULL || n != strtoull(getenv("SEAM_AT"), NULL, 10)) {
        return 0;
    }
    if (strcmp(mode, "die") == 0) {
        kill(getpid(), SIGKILL);
    }
    if (strcmp(mode, "interrupt") == 0) {
        /* As a signal handler would that runs just here. */
        int rc = journal_ensure();
        say("interrupt %d\n", rc == 0 ? journal_line(9, 1, 0) : rc);
        return 0;
    }
    for (size_t i = 0; i < sizeof(stores) / sizeof(stores[0]); i++) {
        if (strcmp(stores[i], call) == 0) {
            return 0; /* a store cannot fail */
        }
    }
    if (strcmp(call, "close") == 0 || strcmp(call, "munmap") == 0) {
        return 0; /* undone in effect even where they report an error */
    }
    errno = atoi(getenv("SEAM_ERRNO"));
    return -1;
}
#endif

/* The next line, split at blanks; the number of words, or -1 at the end. */
static int
next_command(char *words[WORDS_MAX])
{
    if (*at == '\0') {
        return -1;
    }
    char *line = at;
    char *end = strchr(line, '\n');
    at = end != NULL ? end + 1 : line + strlen(line);
    if (end != NULL) {
        *end = '\0';
    }
    int count = 0;
    for (char *word = strtok(line, " "); word != NULL && count < WORDS_MAX;
         word = strtok(NULL, " ")) {
        words[count++] = word;
    }
    return count;
}

static void
skip_block(void)
{
    char *words[WORDS_MAX];
    int depth = 1;
    while (depth > 0) {
        int count = next_command(words);
        if (count < 0) {
            return;
        }
        if (count > 0 && (strcmp(words[0], "fork") == 0 || strcmp(words[0], "clone") == 0)) {
            depth++;
        } else if (count > 0 && strcmp(words[0], "end") == 0) {
            depth--;
        }
    }
}

static size_t
from_hex(const char *text, unsigned char *bytes)
{
    size_t size = strcmp(text, "-") == 0 ? 0 : strlen(text) / 2;
    for (size_t i = 0; i < size; i++) {
        unsigned byte;
        if (sscanf(text + 2 * i, "%2x", &byte) != 1) {
            die(text);
        }
        bytes[i] = (unsigned char)byte;
    }
    return size;
}

static int
define_file(uint32_t id, const char *path, const char *module)
{
    char payload[PATH_MAX + 256];
    memcpy(payload, &id, sizeof(id));
    size_t size = sizeof(id);
    size += (size_t)snprintf(payload + size, sizeof(payload) - size, "%s", path) + 1;
    size += (size_t)snprintf(payload + size, sizeof(payload) - size, "%s", module);
    return journal_blob(BLOB_FILE, payload, size);
}

static int
define_context(uint32_t id, const char *label)
{
    char payload[256];
    memcpy(payload, &id, sizeof(id));
    int size = snprintf(payload + sizeof(id), sizeof(payload) - sizeof(id), "%s", label);
    return journal_blob(BLOB_CONTEXT, payload, sizeof(id) + (size_t)size);
}

typedef struct {
    pthread_t thread;
    uint32_t file;
    uint32_t count;
    uint32_t stored;
} writer;

static void *
write_lines(void *argument)
{
    writer *self = argument;
    journal_thread_started();
    char path[64];
    snprintf(path, sizeof(path), "/thread/%u.py", self->file);
    (void)define_file(self->file, path, "");
    for (uint32_t i = 1; i <= self->count; i++) {
        /* Every kind of record, so that long ones meet short ones at the ends of blocks. */
        int rc = journal_line(self->file, i, 0);
        if (i % 3 == 0) {
            rc |= journal_arc(self->file, (int32_t)i, -(int32_t)i, 0);
        }
        if (i % 50 == 0) {
            char note[64];
            int size = snprintf(note, sizeof(note), "%u at %u", self->file, i);
            rc |= journal_event(EVENT_NOTE, note, (size_t)size);
        }
        self->stored += rc == 0;
    }
    return NULL;
}

static void
run_threads(uint32_t threads, uint32_t count, uint32_t forks)
{
    writer *writers = calloc(threads, sizeof(*writers));
    if (writers == NULL) {
        die("calloc");
    }
    for (uint32_t i = 0; i < threads; i++) {
        writers[i].file = i + 1;
        writers[i].count = count;
        if (pthread_create(&writers[i].thread, NULL, write_lines, &writers[i]) != 0) {
            die("pthread_create");
        }
    }
    for (uint32_t k = 0; k < forks; k++) {
        pid_t pid = fork();
        if (pid == 0) {
            int bad = journal_ensure() != 0 || define_file(1000, "/child.py", "") != 0;
            for (uint32_t line = 1; line <= 10; line++) {
                bad |= journal_line(1000, line, 0) != 0;
            }
            _exit(bad);
        }
        int status = 0;
        if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0) {
            say("threads a child ended with %d\n", status);
            _exit(97);
        }
    }
    uint32_t stored = 0;
    for (uint32_t i = 0; i < threads; i++) {
        pthread_join(writers[i].thread, NULL);
        stored += writers[i].stored;
    }
    free(writers);
    say("threads %u\n", stored);
}

static int
count_descriptors(void)
{
    DIR *directory = opendir("/proc/self/fd");
    int count = -1; /* the one of the directory itself */
    if (directory == NULL) {
        die("/proc/self/fd");
    }
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        count += entry->d_name[0] != '.';
    }
    closedir(directory);
    return count;
}

/* How many journals are mapped, of whichever process. */
static int
count_mappings(void)
{
    FILE *maps = fopen("/proc/self/maps", "r");
    char line[PATH_MAX];
    int count = 0;
    if (maps == NULL) {
        die("/proc/self/maps");
    }
    while (fgets(line, sizeof(line), maps) != NULL) {
        count += strstr(line, ".journal") != NULL;
    }
    fclose(maps);
    return count;
}

/* How much address space the journals take, of whichever process. */
static unsigned long
count_mapped_kib(void)
{
    FILE *maps = fopen("/proc/self/maps", "r");
    char line[PATH_MAX];
    unsigned long bytes = 0;
    if (maps == NULL) {
        die("/proc/self/maps");
    }
    while (fgets(line, sizeof(line), maps) != NULL) {
        unsigned long begin, end;
        if (strstr(line, ".journal") != NULL && sscanf(line, "%lx-%lx", &begin, &end) == 2) {
            bytes += end - begin;
        }
    }
    fclose(maps);
    return bytes >> 10;
}

static rlim_t
address_space_used(void)
{
    FILE *statm = fopen("/proc/self/statm", "r");
    unsigned long pages = 0;
    if (statm == NULL || fscanf(statm, "%lu", &pages) != 1) {
        die("/proc/self/statm");
    }
    fclose(statm);
    return (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE);
}

static void
limit(const char *name, const char *value)
{
    int which = strcmp(name, "fsize") == 0    ? RLIMIT_FSIZE
                : strcmp(name, "as") == 0     ? RLIMIT_AS
                : strcmp(name, "nofile") == 0 ? RLIMIT_NOFILE
                                              : -1;
    struct rlimit now;
    if (which < 0 || getrlimit(which, &now) != 0) {
        die(name);
    }
    now.rlim_cur = strcmp(value, "max") == 0    ? now.rlim_max
                   : strcmp(value, "used") == 0 ? address_space_used()
                                                : (rlim_t)strtoull(value, NULL, 10);
    say("limit %d\n", setrlimit(which, &now));
}

/* A file system of the given size, which only this process and its children see. */
static void
own_tmpfs(const char *directory, const char *size)
{
    char options[64];
    snprintf(options, sizeof(options), "size=%s", size);
    int rc = unshare(CLONE_NEWNS);
    if (rc != 0) {
        rc = unshare(CLONE_NEWUSER | CLONE_NEWNS);
    }
    if (rc == 0) {
        rc = mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL);
    }
    if (rc == 0) {
        rc = mount("covsup-test", directory, "tmpfs", 0, options);
    }
    say("tmpfs %d\n", rc == 0 ? 0 : errno);
}

/* Takes all space but `spare` bytes. */
static void
fill(const char *path, off_t spare)
{
    static char block[4096];
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    off_t size = 0;
    for (ssize_t rc; (rc = write(fd, block, sizeof(block))) > 0;) {
        size += rc;
    }
    int rc = ftruncate(fd, size > spare ? size - spare : 0);
    close(fd);
    say("fill %d\n", rc);
}

static void
finish_child(pid_t pid)
{
    int status = 0;
    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR) {
            die("waitpid");
        }
    }
    say("child %d\n", status);
}

static void
wait_for_byte(void)
{
    char byte;
    say("waiting %d\n", (int)getpid());
    while (read(STDIN_FILENO, &byte, 1) < 0 && errno == EINTR) {
    }
}

static uint32_t
number(const char *text)
{
    return (uint32_t)strtoul(text, NULL, 10);
}

static int
integer(const char *text)
{
    return (int)strtol(text, NULL, 10);
}

static void
obey(char *word[WORDS_MAX])
{
    static unsigned char bytes[TEXT_MAX];
    char buffer[JOURNAL_PARENT_SIZE];
    const char *name = word[0];
    if (strcmp(name, "start") == 0) {
        journal_settings settings = {word[1], 0x030b07f0, JOURNAL_CORE_SETTRACE,
                                     JOURNAL_FLAG_BRANCH};
        int rc = journal_start(&settings, strcmp(word[2], "-") == 0 ? NULL : word[2]);
        int error = rc == 0 ? 0 : errno;
        say("start %d %s\n", error, journal_start_error());
    } else if (strcmp(name, "property") == 0) {
        say("property %d\n", journal_property(word[1], word[2], strlen(word[2])));
    } else if (strcmp(name, "long-property") == 0) {
        memset(bytes, 'x', number(word[2]));
        say("long-property %d\n", journal_property(word[1], bytes, number(word[2])));
    } else if (strcmp(name, "long-blob") == 0) {
        memset(bytes, 'x', number(word[2]));
        say("long-blob %d\n", journal_blob(number(word[1]), bytes, number(word[2])));
    } else if (strcmp(name, "long-event") == 0) {
        memset(bytes, 'x', number(word[2]));
        say("long-event %d\n", journal_event(number(word[1]), bytes, number(word[2])));
    } else if (strcmp(name, "file") == 0) {
        say("file %d\n",
            define_file(number(word[1]), word[2], strcmp(word[3], "-") == 0 ? "" : word[3]));
    } else if (strcmp(name, "context") == 0) {
        say("context %d\n", define_context(number(word[1]), word[2]));
    } else if (strcmp(name, "line") == 0) {
        int rc = journal_line(number(word[1]), number(word[2]), number(word[3]));
        say("line %d %u\n", rc, number(word[2]));
    } else if (strcmp(name, "lines") == 0) {
        uint32_t stored = 0;
        for (uint32_t line = number(word[2]); line <= number(word[3]); line++) {
            stored += journal_line(number(word[1]), line, 0) == 0;
        }
        say("lines %u\n", stored);
    } else if (strcmp(name, "arc") == 0) {
        int rc = journal_arc(number(word[1]), integer(word[2]), integer(word[3]), number(word[4]));
        say("arc %d\n", rc);
    } else if (strcmp(name, "event") == 0) {
        size_t size = from_hex(word[2], bytes);
        say("event %d\n", journal_event(number(word[1]), size != 0 ? bytes : NULL, size));
    } else if (strcmp(name, "blob") == 0) {
        size_t size = from_hex(word[2], bytes);
        say("blob %d\n", journal_blob(number(word[1]), bytes, size));
    } else if (strcmp(name, "thread-started") == 0) {
        journal_thread_started();
    } else if (strcmp(name, "parent") == 0) {
        say("parent %s\n", journal_parent_value(buffer));
    } else if (strcmp(name, "ensure") == 0) {
        errno = 77;
        int rc = journal_ensure();
        say("ensure %d epoch %u errno %d\n", rc, journal_epoch(), errno);
    } else if (strcmp(name, "retry") == 0) {
        /* Until the pause after a failed try is over. */
        while (journal_ensure() != 0) {
            (void)sched_yield();
        }
        say("retry 0\n");
    } else if (strcmp(name, "forked") == 0) {
        journal_after_fork();
        say("forked 0\n");
    } else if (strcmp(name, "stop") == 0) {
        say("stop %d\n", journal_stop());
    } else if (strcmp(name, "lose") == 0) {
        journal_count_lost_fact();
    } else if (strcmp(name, "fork") == 0 || strcmp(name, "clone") == 0) {
        /* clone goes past the C library and its fork handlers */
        pid_t pid = strcmp(name, "fork") == 0
                        ? fork()
                        : (pid_t)syscall(SYS_clone, (unsigned long)SIGCHLD, 0, 0, 0, 0);
        if (pid < 0) {
            die(name);
        }
        if (pid > 0) {
            skip_block();
            finish_child(pid);
        }
    } else if (strcmp(name, "end") == 0) {
        _exit(0);
    } else if (strcmp(name, "kill") == 0) {
        kill(getpid(), integer(word[1]));
    } else if (strcmp(name, "forever") == 0) {
        for (uint32_t line = 1;; line++) {
            if (journal_line(number(word[1]), line, 0) == 0) {
                say("%u\n", line);
            }
        }
    } else if (strcmp(name, "umask") == 0) {
        umask((mode_t)strtoul(word[1], NULL, 8));
    } else if (strcmp(name, "limit") == 0) {
        limit(word[1], word[2]);
    } else if (strcmp(name, "chroot") == 0) {
        int rc = chroot(word[1]);
        say("chroot %d\n", rc == 0 ? chdir("/") : rc);
    } else if (strcmp(name, "setuid") == 0) {
        say("setuid %d\n", setuid(number(word[1])));
    } else if (strcmp(name, "new-pids") == 0) {
        say("new-pids %d\n", unshare(CLONE_NEWPID)); /* for the children; root's alone */
    } else if (strcmp(name, "let-in") == 0) {
        journal_grant_user(number(word[1]));
        say("let-in 0\n");
    } else if (strcmp(name, "close-all") == 0) {
        for (int fd = 3; fd < 1024; fd++) {
            close(fd);
        }
    } else if (strcmp(name, "close") == 0) {
        close(integer(word[1]));
    } else if (strcmp(name, "descriptors") == 0) {
        say("descriptors %d\n", count_descriptors());
    } else if (strcmp(name, "mappings") == 0) {
        say("mappings %d\n", count_mappings());
    } else if (strcmp(name, "mapped-kib") == 0) {
        say("mapped-kib %lu\n", count_mapped_kib());
    } else if (strcmp(name, "tmpfs") == 0) {
        own_tmpfs(word[1], word[2]);
    } else if (strcmp(name, "fill") == 0) {
        fill(word[1], (off_t)strtoll(word[2], NULL, 10));
    } else if (strcmp(name, "unlink") == 0) {
        say("unlink %d\n", unlink(word[1]));
    } else if (strcmp(name, "mkdir") == 0) {
        say("mkdir %d\n", mkdir(word[1], 0700));
    } else if (strcmp(name, "threads") == 0) {
        run_threads(number(word[1]), number(word[2]), number(word[3]));
    } else if (strcmp(name, "wait") == 0) {
        wait_for_byte();
#ifdef JOURNAL_SEAM
    } else if (strcmp(name, "seams") == 0) {
        say("seams %llu\n", (unsigned long long)atomic_load(seam_count));
#endif
    } else {
        fprintf(stderr, "harness: unknown command %s\n", name);
        _exit(96);
    }
}

int
main(int argc, char **argv)
{
    char *words[WORDS_MAX] = {0};
    if (argc != 2) {
        return 95;
    }
#ifdef JOURNAL_SEAM
    seam_count =
        mmap(NULL, sizeof(*seam_count), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (seam_count == MAP_FAILED) {
        die("mmap");
    }
#endif
    at = argv[1];
    for (int count; (count = next_command(words)) >= 0;) {
        if (count > 0) {
            obey(words);
        }
    }
    return 0;
}
