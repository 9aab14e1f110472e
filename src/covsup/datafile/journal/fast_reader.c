/* journal/fast_reader.c - read an intact journal of this machine's byte order, as nearly all are.
 *
 * One system call reads the header and the words of most journals, and the GIL is released all the
 * while. A journal that is not intact is left to the reader in Python, which can say what is wrong
 * with it: so this code has no error but "not intact". docs/journal-format.md explains the fields.
 * Must never know: paths, sessions, what an event says. */
#include "fold/module.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "journal/header.h"

#define FIRST_READ (64 << 10) /* bytes; most journals are not longer */

/* Reads `size` bytes; false if the file has fewer. */
static bool
read_all(int fd, uint8_t *to, uint64_t size, uint64_t offset)
{
    while (size > 0) {
        ssize_t got = pread(fd, to, (size_t)size, (off_t)offset);
        if (got <= 0) {
            return false;
        }
        to += got;
        size -= (uint64_t)got;
        offset += (uint64_t)got;
    }
    return true;
}

static bool
is_intact(const journal_header *header)
{
    const uint8_t *checked = (const uint8_t *)header + JOURNAL_CHECKED_FROM;
    return memcmp(header->magic, JOURNAL_MAGIC, JOURNAL_MAGIC_SIZE) == 0 && header->version >= 1 &&
           header->version <= JOURNAL_VERSION && header->header_size == JOURNAL_HEADER_SIZE &&
           header->byte_order == JOURNAL_BYTE_ORDER &&
           header->identity_check ==
               blobs_crc32(checked, JOURNAL_CHECKED_TO - JOURNAL_CHECKED_FROM) &&
           header->start_kind >= JOURNAL_SPAWNED && header->start_kind <= JOURNAL_EXECED &&
           (header->core == JOURNAL_CORE_MONITORING || header->core == JOURNAL_CORE_SETTRACE) &&
           header->tail >= JOURNAL_HEADER_SIZE && header->tail % RECORD_WORD_SIZE == 0;
}

/* The journal at the beginning of a file of `size` bytes, in memory; NULL if it is not intact. */
static uint8_t *
read_whole(int fd, uint64_t size, journal_header *header)
{
    uint64_t have = size < FIRST_READ ? size : FIRST_READ;
    uint8_t *bytes = have < JOURNAL_HEADER_SIZE ? NULL : malloc(FIRST_READ);
    if (bytes == NULL) {
        return NULL;
    }
    ssize_t got = pread(fd, bytes, (size_t)have, 0);
    if (got < (ssize_t)JOURNAL_HEADER_SIZE) {
        goto not_intact;
    }
    memcpy(header, bytes, sizeof(*header));
    if (!is_intact(header)) {
        goto not_intact;
    }
    have = (uint64_t)got;
    if (header->tail > size || header->tail > header->capacity || header->tail > JOURNAL_LONGEST) {
        goto not_intact;
    }
    if (header->tail > have) {
        uint8_t *moved = realloc(bytes, (size_t)header->tail);
        if (moved == NULL) {
            goto not_intact;
        }
        bytes = moved;
        if (!read_all(fd, bytes + have, header->tail - have, have)) {
            goto not_intact;
        }
    }
    return bytes;
not_intact:
    free(bytes);
    return NULL;
}

/* 32 hexadecimal digits; None for no image, where that is allowed. */
static PyObject *
image_id_as_text(const uint8_t *id, bool may_be_none)
{
    static const char digits[] = "0123456789abcdef";
    char text[2 * JOURNAL_IMAGE_ID_SIZE];
    uint8_t any = 0;
    for (int at = 0; at < JOURNAL_IMAGE_ID_SIZE; at++) {
        text[2 * at] = digits[id[at] >> 4];
        text[2 * at + 1] = digits[id[at] & 15];
        any |= id[at];
    }
    return may_be_none && any == 0 ? Py_NewRef(Py_None)
                                   : PyUnicode_FromStringAndSize(text, sizeof(text));
}

/* A field as `covsup.datafile.journal.reader.Header` has it; NULL without an exception for one that
 * is only for the reader itself. `kinds` and `cores` are the members of its two enumerations. */
static PyObject *
field_value(const journal_header *header, const header_field *field, PyObject *kinds,
            PyObject *cores)
{
    uint32_t half;
    uint64_t whole;
    switch (field->offset) {
    case offsetof(journal_header, magic):
    case offsetof(journal_header, header_size):
    case offsetof(journal_header, byte_order):
    case offsetof(journal_header, identity_check):
        return NULL;
    case offsetof(journal_header, image_id):
        return image_id_as_text(header->image_id, false);
    case offsetof(journal_header, parent_image_id):
        return image_id_as_text(header->parent_image_id, true);
    case offsetof(journal_header, start_kind):
        return Py_NewRef(PyTuple_GET_ITEM(kinds, (Py_ssize_t)header->start_kind - 1));
    case offsetof(journal_header, core):
        return Py_NewRef(PyTuple_GET_ITEM(cores, (Py_ssize_t)header->core - 1));
    case offsetof(journal_header, flags):
        return PyBool_FromLong((header->flags & JOURNAL_FLAG_BRANCH) != 0);
    default:
        if (field->size == sizeof(half)) {
            memcpy(&half, (const uint8_t *)header + field->offset, sizeof(half));
            return PyLong_FromUnsignedLong(half);
        }
        memcpy(&whole, (const uint8_t *)header + field->offset, sizeof(whole));
        return PyLong_FromUnsignedLongLong(whole);
    }
}

enum { OWN_FIELDS = 4 }; /* for the reader itself: see field_value() */

static PyObject *
header_values(const journal_header *header, PyObject *kinds, PyObject *cores)
{
    PyObject *all = PyTuple_New(HEADER_FIELDS - OWN_FIELDS);
    Py_ssize_t used = 0;
    for (int at = 0; all != NULL && at < HEADER_FIELDS; at++) {
        PyObject *value = field_value(header, &header_fields[at], kinds, cores);
        if (value != NULL) {
            PyTuple_SET_ITEM(all, used++, value);
        } else if (PyErr_Occurred()) {
            Py_CLEAR(all);
        }
    }
    return all;
}

/* A regular file of root's or of `owner`'s, not through a link; -1 if it is not one. */
static int
open_file(const char *path, unsigned long long owner, bool any_owner, uint64_t *size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    struct stat found;
    if (fd < 0) {
        return -1;
    }
    if (fstat(fd, &found) != 0 || !S_ISREG(found.st_mode) || found.st_size < 0 ||
        (!any_owner && found.st_uid != 0 && found.st_uid != owner)) {
        close(fd);
        return -1;
    }
    *size = (uint64_t)found.st_size;
    return fd;
}

PyObject *
read_intact(PyObject *module, PyObject *args)
{
    fold_state *state = PyModule_GetState(module);
    PyObject *path, *owner, *kinds, *cores, *result = NULL;
    unsigned int largest_line;
    Py_ssize_t memory;
    if (!PyArg_ParseTuple(args, "O&OInO!O!", PyUnicode_FSConverter, &path, &owner, &largest_line,
                          &memory, &PyTuple_Type, &kinds, &PyTuple_Type, &cores)) {
        return NULL;
    }
    bool any_owner = owner == Py_None;
    unsigned long long uid = any_owner ? 0 : PyLong_AsUnsignedLongLong(owner);
    journal_facts_object *facts = NULL;
    if (PyErr_Occurred()) {
        goto done;
    }
    if (largest_line >= INT32_MAX || memory < 0 || PyTuple_GET_SIZE(kinds) != JOURNAL_EXECED ||
        PyTuple_GET_SIZE(cores) != JOURNAL_CORE_SETTRACE) {
        PyErr_SetString(PyExc_ValueError, "a limit or an enumeration is wrong");
        goto done;
    }
    facts = new_journal_facts(state);
    if (facts == NULL) {
        goto done;
    }
    fact_limits limits = {.largest_line = largest_line, .memory = (size_t)memory};
    journal_header header;
    uint64_t size = 0;
    uint8_t *bytes = NULL;
    int failed = 0;
    Py_BEGIN_ALLOW_THREADS
    int fd = open_file(PyBytes_AS_STRING(path), uid, any_owner, &size);
    if (fd >= 0) {
        bytes = read_whole(fd, size, &header);
        close(fd);
    }
    if (bytes != NULL) {
        words_format format = {.version = header.version};
        size_t count = (size_t)(header.tail - JOURNAL_HEADER_SIZE) / RECORD_WORD_SIZE;
        failed = words_decode(&facts->facts, bytes + JOURNAL_HEADER_SIZE, count, format, &limits);
    }
    Py_END_ALLOW_THREADS
    if (failed) {
        PyErr_NoMemory();
    } else if (bytes == NULL) {
        result = Py_NewRef(Py_None);
    } else {
        PyObject *values = header_values(&header, kinds, cores);
        result = values == NULL ? NULL : PyTuple_Pack(2, values, facts);
        Py_XDECREF(values);
    }
    free(bytes);
done:
    Py_DECREF(path);
    Py_XDECREF(facts);
    return result;
}
