/* journal/fast_reader.c - reads a journal that is as nearly all are: whole, and of this machine's
 * byte order.
 *
 * The header and the words come with one system call, as a rule, and all is done without the GIL.
 * What is not so is left to the reader in Python, which knows what to say of it: so this has no
 * errors but "not sound". docs/journal-format.md says what the fields are.
 * Must never know: paths, sessions, what an event says. */
#include "fold/module.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEADER_SIZE 512
#define MAGIC "COVSUPJ\n"
#define BYTE_ORDER_MARK UINT64_C(0x0102030405060708)
#define LARGEST_JOURNAL (UINT64_C(64) << 20)
#define AT_FIRST (64 << 10) /* bytes; most journals are not longer */

enum { CHECKED_FROM = 8, CHECKED_TO = 248 };

/* The fields of a header as `covsup.datafile.journal.Header` has them, by offset and size. */
static const struct {
    uint16_t at, size;
} fields[] = {
    {8, 4},   /* version */
    {24, 16}, /* image_id */
    {40, 16}, /* parent_image_id */
    {56, 8},  /* pid */
    {64, 8},  /* ppid */
    {72, 8},  /* start_realtime_ns */
    {80, 8},  /* start_boottime_ns */
    {88, 4},  /* generation */
    {92, 4},  /* start_kind */
    {96, 4},  /* python_hexversion */
    {100, 4}, /* core */
    {104, 4}, /* flags */
    {108, 4}, /* segment */
    {112, 8}, /* capacity */
    {120, 8}, /* uid */
    {128, 8}, /* offset */
    {136, 8}, /* slots_at */
    {144, 4}, /* slot_size */
    {148, 4}, /* slot_count */
    {256, 8}, /* tail */
    {264, 8}, /* allocated */
    {272, 8}, /* lost_facts */
    {280, 8}, /* lost_events */
    {288, 4}, /* lost_errno */
    {292, 4}, /* lost_stage */
    {296, 8}, /* threads_started */
    {304, 8}, /* slots_used */
    {312, 8}, /* forks_lost_facts */
    {320, 8}, /* forks_lost_events */
    {328, 4}, /* forks_lost_errno */
    {332, 4}, /* forks_lost_stage */
};

enum { FIELDS = sizeof(fields) / sizeof(*fields) };
enum { VERSION_AT = 8, START_KIND_AT = 92, CORE_AT = 100, FLAGS_AT = 104, CAPACITY_AT = 112 };
enum { TAIL_AT = 256 };

static uint64_t
number_at(const uint8_t *header, size_t at, size_t size)
{
    uint32_t half;
    uint64_t whole;
    if (size == 4) {
        memcpy(&half, header + at, 4);
        return half;
    }
    memcpy(&whole, header + at, 8);
    return whole;
}

/* Reads all of `size` bytes; false where there are not so many. */
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
is_intact(const uint8_t *header, uint32_t newest)
{
    uint64_t version = number_at(header, VERSION_AT, 4), kind = number_at(header, START_KIND_AT, 4);
    uint64_t core = number_at(header, CORE_AT, 4), tail = number_at(header, TAIL_AT, 8);
    return memcmp(header, MAGIC, 8) == 0 && version >= 1 && version <= newest &&
           number_at(header, 12, 4) == HEADER_SIZE && number_at(header, 16, 8) == BYTE_ORDER_MARK &&
           number_at(header, CHECKED_TO, 8) ==
               blobs_crc32(header + CHECKED_FROM, CHECKED_TO - CHECKED_FROM) &&
           kind >= 1 && kind <= 3 && (core == 1 || core == 2) && tail >= HEADER_SIZE &&
           tail % 8 == 0;
}

/* The journal at the beginning of a file of `size` bytes, in memory; NULL if it is not sound. */
static uint8_t *
read_whole(int fd, uint64_t size, uint32_t newest)
{
    uint64_t have = size < AT_FIRST ? size : AT_FIRST;
    uint8_t *bytes = have < HEADER_SIZE ? NULL : malloc(AT_FIRST);
    if (bytes == NULL) {
        return NULL;
    }
    ssize_t got = pread(fd, bytes, (size_t)have, 0);
    if (got < HEADER_SIZE || !is_intact(bytes, newest)) {
        goto not_intact;
    }
    have = (uint64_t)got;
    uint64_t capacity = number_at(bytes, CAPACITY_AT, 8), tail = number_at(bytes, TAIL_AT, 8);
    if (tail > size || tail > capacity || tail > LARGEST_JOURNAL) {
        goto not_intact;
    }
    if (tail > have) {
        uint8_t *moved = realloc(bytes, (size_t)tail);
        if (moved == NULL) {
            goto not_intact;
        }
        bytes = moved;
        if (!read_all(fd, bytes + have, tail - have, have)) {
            goto not_intact;
        }
    }
    return bytes;
not_intact:
    free(bytes);
    return NULL;
}

static PyObject *
image_at(const uint8_t *id, bool may_be_none)
{
    static const char digits[] = "0123456789abcdef";
    char text[32];
    uint8_t any = 0;
    for (int at = 0; at < 16; at++) {
        text[2 * at] = digits[id[at] >> 4];
        text[2 * at + 1] = digits[id[at] & 15];
        any |= id[at];
    }
    return may_be_none && any == 0 ? Py_NewRef(Py_None) : PyUnicode_FromStringAndSize(text, 32);
}

/* A field as `Header` has it; `kinds` and `cores` are the members of two enumerations, in order. */
static PyObject *
field_of(const uint8_t *header, size_t at, size_t size, PyObject *kinds, PyObject *cores)
{
    if (size == 16) {
        return image_at(header + at, at != fields[1].at);
    }
    uint64_t number = number_at(header, at, size);
    switch (at) {
    case START_KIND_AT:
        return Py_NewRef(PyTuple_GET_ITEM(kinds, (Py_ssize_t)number - 1));
    case CORE_AT:
        return Py_NewRef(PyTuple_GET_ITEM(cores, (Py_ssize_t)number - 1));
    case FLAGS_AT:
        return PyBool_FromLong(number & 1);
    default:
        return PyLong_FromUnsignedLongLong(number);
    }
}

static PyObject *
header_of(const uint8_t *header, PyObject *kinds, PyObject *cores)
{
    PyObject *all = PyTuple_New(FIELDS);
    for (Py_ssize_t at = 0; all != NULL && at < FIELDS; at++) {
        PyObject *value = field_of(header, fields[at].at, fields[at].size, kinds, cores);
        if (value == NULL) {
            Py_CLEAR(all);
        } else {
            PyTuple_SET_ITEM(all, at, value);
        }
    }
    return all;
}

/* A regular file that `owner` or root owns, as `O_NOFOLLOW` finds it; -1 if it is none. */
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
    unsigned int newest, largest_line;
    Py_ssize_t memory;
    if (!PyArg_ParseTuple(args, "O&OIInO!O!", PyUnicode_FSConverter, &path, &owner, &newest,
                          &largest_line, &memory, &PyTuple_Type, &kinds, &PyTuple_Type, &cores)) {
        return NULL;
    }
    bool any_owner = owner == Py_None;
    unsigned long long uid = any_owner ? 0 : PyLong_AsUnsignedLongLong(owner);
    journal_facts_object *sorted = NULL;
    if (PyErr_Occurred()) {
        goto done;
    }
    if (largest_line >= INT32_MAX || memory < 0 || PyTuple_GET_SIZE(kinds) != 3 ||
        PyTuple_GET_SIZE(cores) != 2) {
        PyErr_SetString(PyExc_ValueError, "these are no limits, or no enumerations");
        goto done;
    }
    sorted = new_journal_facts(state);
    if (sorted == NULL) {
        goto done;
    }
    fact_limits limits = {.largest_line = largest_line, .memory = (size_t)memory};
    uint64_t size = 0;
    uint8_t *bytes = NULL;
    int failed = 0;
    Py_BEGIN_ALLOW_THREADS
    int fd = open_file(PyBytes_AS_STRING(path), uid, any_owner, &size);
    if (fd >= 0) {
        bytes = read_whole(fd, size, newest);
        close(fd);
    }
    if (bytes != NULL) {
        words_format format = {.version = (uint32_t)number_at(bytes, VERSION_AT, 4)};
        size_t count = (size_t)(number_at(bytes, TAIL_AT, 8) - HEADER_SIZE) / 8;
        failed = words_decode(&sorted->words, bytes + HEADER_SIZE, count, format, &limits);
    }
    Py_END_ALLOW_THREADS
    if (failed) {
        PyErr_NoMemory();
    } else if (bytes == NULL) {
        result = Py_NewRef(Py_None);
    } else {
        PyObject *header = header_of(bytes, kinds, cores);
        result = header == NULL ? NULL : PyTuple_Pack(2, header, sorted);
        Py_XDECREF(header);
    }
    free(bytes);
done:
    Py_DECREF(path);
    Py_XDECREF(sorted);
    return result;
}
