/* files/canonical_path.c - the canonical form of a path. See canonical_path.h.
 *
 * The result is that of os.path.realpath(), which coverage.py stores. The C library's realpath()
 * fails for a missing file, and takes up to 12 KiB of stack, which a thread of the target may not
 * have.
 *
 * Must never know: Python objects, what the path is for. */
#define _XOPEN_SOURCE 700 /* POSIX.1-2008 beside C11 */

#include "files/canonical_path.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Linux follows as many links in one path. */
enum { MAX_LINKS = 40 };

/* A growing path. It does not end in a slash, so the root is the empty text. */
typedef struct {
    char *text;
    size_t length, room;
} path_buffer;

static bool
make_room(path_buffer *path, size_t room)
{
    if (room > path->room) {
        char *moved = realloc(path->text, 2 * room);
        if (moved == NULL) {
            return false;
        }
        path->text = moved;
        path->room = 2 * room;
    }
    return true;
}

static bool
add_part(path_buffer *path, const char *part, size_t length)
{
    if (!make_room(path, path->length + length + 2)) {
        return false;
    }
    path->text[path->length] = '/';
    memcpy(path->text + path->length + 1, part, length);
    path->length += length + 1;
    path->text[path->length] = '\0';
    return true;
}

static void
remove_last_part(path_buffer *path)
{
    while (path->length > 0 && path->text[--path->length] != '/') {
    }
    path->text[path->length] = '\0';
}

static bool
start_in_working_directory(path_buffer *path)
{
    if (!make_room(path, PATH_MAX) || getcwd(path->text, path->room) == NULL) {
        return false;
    }
    path->length = strlen(path->text);
    if (path->length == 1) {
        remove_last_part(path); /* the root */
    }
    return true;
}

/* The path that is left to resolve: the text of a link, then `rest`. NULL: no memory. */
static char *
continue_with(const char *link, size_t length, const char *rest)
{
    char *text = malloc(length + strlen(rest) + 1);
    if (text != NULL) {
        memcpy(text, link, length);
        strcpy(text + length, rest); /* `rest` starts with a slash, or is empty */
    }
    return text;
}

char *
canonical_path(const char *path, bool *exists)
{
    path_buffer made = {0};
    char *link = malloc(PATH_MAX);
    char *followed = NULL; /* owns the text that `at` points into, after a link */
    bool found = true, good = false;
    int links = 0;
    if (link == NULL || !make_room(&made, strlen(path) + 2)) {
        goto done;
    }
    made.text[0] = '\0';
    if (path[0] != '/' && !start_in_working_directory(&made)) {
        goto done;
    }
    for (const char *at = path; *(at += strspn(at, "/")) != '\0';) {
        size_t length = strcspn(at, "/");
        const char *part = at;
        at += length;
        if (length == 1 && part[0] == '.') {
            continue;
        }
        if (length == 2 && part[0] == '.' && part[1] == '.') {
            remove_last_part(&made);
            continue;
        }
        if (!add_part(&made, part, length)) {
            goto done;
        }
        ssize_t size = readlink(made.text, link, PATH_MAX);
        if (size < 0) {
            found = found && errno == EINVAL; /* EINVAL: it exists and is not a link */
            continue;
        }
        char *next = ++links <= MAX_LINKS ? continue_with(link, (size_t)size, at) : NULL;
        if (next == NULL) {
            goto done;
        }
        free(followed);
        at = followed = next;
        remove_last_part(&made);
        if (link[0] == '/') {
            made.length = 0;
            made.text[0] = '\0';
        }
    }
    good = made.length > 0 || add_part(&made, "", 0);
done:
    free(link);
    free(followed);
    if (!good) {
        free(made.text);
        return NULL;
    }
    if (exists != NULL) {
        *exists = found;
    }
    return made.text;
}
