/* database/arcs_as_json.c - the arcs and lines of a file in a context, as a JSON array of numbers.
 *
 * SQLite makes rows of such an array itself, several times faster than it takes them one by one
 * from Python. Must never know: tables, databases. */
#include "fold/module.h"

#include <stdlib.h>

enum { MOST_DIGITS = 20 };

/* Writes a number in decimal. Gives where it ends. */
static char *
write_number(char *to, int64_t number)
{
    char digits[MOST_DIGITS];
    size_t count = 0;
    uint64_t left = number < 0 ? UINT64_C(0) - (uint64_t)number : (uint64_t)number;
    do {
        digits[count++] = (char)('0' + left % 10);
        left /= 10;
    } while (left > 0);
    if (number < 0) {
        *to++ = '-';
    }
    while (count > 0) {
        *to++ = digits[--count];
    }
    return to;
}

static char *
write_arc(char *to, int32_t from, int32_t end)
{
    to = write_number(to, (int64_t)from * (INT64_C(1) << ARC_BITS) + end +
                              (INT64_C(1) << (ARC_BITS - 1)));
    *to++ = ',';
    return to;
}

static size_t
count_bits(const uint8_t *bytes, size_t size)
{
    size_t count = 0;
    for (size_t at = 0; at < size; at++) {
        count += (size_t)__builtin_popcount(bytes[at]);
    }
    return count;
}

/* Merges arcs and lines, so that the rows come in the order of the table's index: sorted rows are
 * inserted faster. */
static char *
write_all(char *to, const char *arcs, size_t count, const uint8_t *lines, size_t size)
{
    size_t at = 0;
    int32_t ends[2];
    for (size_t byte = 0; byte < size; byte++) {
        for (unsigned bits = lines[byte]; bits != 0; bits &= bits - 1) {
            int32_t line = (int32_t)(byte * 8) + __builtin_ctz(bits);
            for (; at < count; at++) {
                memcpy(ends, arcs + at * 8, 8);
                if (ends[0] > line || (ends[0] == line && ends[1] > line)) {
                    break;
                }
                to = write_arc(to, ends[0], ends[1]);
            }
            to = write_arc(to, line, line);
        }
    }
    for (; at < count; at++) {
        memcpy(ends, arcs + at * 8, 8);
        to = write_arc(to, ends[0], ends[1]);
    }
    return to;
}

PyObject *
arc_numbers(PyObject *module, PyObject *args)
{
    const char *arcs;
    const uint8_t *lines;
    Py_ssize_t arcs_size, lines_size;
    if (!PyArg_ParseTuple(args, "y#y#", &arcs, &arcs_size, &lines, &lines_size)) {
        return NULL;
    }
    if (arcs_size % 8 != 0 || lines_size > INT32_MAX / 8) {
        PyErr_SetString(PyExc_ValueError, "not a set of arcs, or too many lines");
        return NULL;
    }
    size_t count = (size_t)arcs_size / 8 + count_bits(lines, (size_t)lines_size);
    char *text =
        count < PY_SSIZE_T_MAX / (MOST_DIGITS + 2) ? malloc(count * (MOST_DIGITS + 2) + 2) : NULL;
    if (text == NULL) {
        return PyErr_NoMemory();
    }
    text[0] = '[';
    char *to = write_all(text + 1, arcs, (size_t)arcs_size / 8, lines, (size_t)lines_size);
    to -= to[-1] == ',';
    *to++ = ']';
    PyObject *result = PyUnicode_FromStringAndSize(text, to - text);
    free(text);
    return result;
}
