/* files/by_value.c - name code that was sent by value. See by_value.h.
 *
 * The digest of a code object is the same in every process and on every machine: it does not depend
 * on the hash seed, on addresses, on the order of a set, or on how the bytecode was specialized or
 * instrumented. covsup.supervisor.by_value computes it of compiled sources. */
#include "files/by_value.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The file name that cloudpickle gives to code that it sends, from 3.1.3 on (cloudpickle #538).
 * Earlier versions keep the real one. */
static const char sent[] = "<dynamic-code>";

bool
by_value_is_file_name(const char *file_name)
{
    return file_name[0] == '<' && strcmp(file_name, sent) == 0;
}

/* FNV-1a of 64 bits. */
static uint64_t
add_bytes(uint64_t digest, const void *bytes, size_t size)
{
    const unsigned char *byte = bytes;
    for (size_t at = 0; at < size; at++) {
        digest = (digest ^ byte[at]) * UINT64_C(0x100000001b3);
    }
    return digest;
}

static uint64_t
begin(char kind)
{
    return add_bytes(UINT64_C(0xcbf29ce484222325), &kind, 1);
}

static uint64_t
add_number(uint64_t digest, uint64_t number)
{
    unsigned char bytes[8];
    for (int at = 0; at < 8; at++) {
        bytes[at] = (unsigned char)(number >> (8 * at));
    }
    return add_bytes(digest, bytes, sizeof(bytes));
}

static uint64_t
add_double(uint64_t digest, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    return add_number(digest, bits);
}

/* Deeper values are not digested, since the stack is the target's. Py_EnterRecursiveCall() is not
 * used: before 3.12 it would count towards the target's own recursion limit. */
enum { MAX_LEVELS = 32 };

static int digest_of(PyObject *value, int level, uint64_t *digest);

/* `level`, here and below, is the level of the containing value. */
static int
add_value(uint64_t *digest, PyObject *value, int level)
{
    uint64_t its = 0;
    int rc = digest_of(value, level + 1, &its);
    *digest = add_number(*digest, its);
    return rc;
}

static int
add_text(uint64_t *digest, PyObject *text)
{
    Py_ssize_t size = 0;
    const char *bytes = PyUnicode_AsUTF8AndSize(text, &size);
    if (bytes == NULL) {
        /* Lone surrogates: digest only that there is such a text. */
        if (!PyErr_ExceptionMatches(PyExc_UnicodeEncodeError)) {
            return -1;
        }
        PyErr_Clear();
        size = 0;
    }
    *digest = add_bytes(*digest, bytes, (size_t)size);
    return 0;
}

static int
add_code(uint64_t *digest, PyCodeObject *code, int level)
{
    int rc = -1;
    PyObject *bytes = PyCode_GetCode(code); /* owned; as it was compiled */
    if (bytes != NULL) {
        *digest = add_number(*digest, (uint64_t)code->co_firstlineno);
        *digest = add_number(*digest, (uint64_t)code->co_argcount);
        *digest = add_number(*digest, (uint64_t)code->co_posonlyargcount);
        *digest = add_number(*digest, (uint64_t)code->co_kwonlyargcount);
        PyObject *parts[] = {code->co_qualname,       bytes,          code->co_linetable,
                             code->co_exceptiontable, code->co_names, code->co_consts};
        rc = 0;
        for (size_t at = 0; rc == 0 && at < sizeof(parts) / sizeof(parts[0]); at++) {
            rc = add_value(digest, parts[at], level);
        }
    }
    Py_XDECREF(bytes);
    return rc;
}

static int
add_items(uint64_t *digest, PyObject *tuple, int level)
{
    int rc = 0;
    for (Py_ssize_t at = 0; rc == 0 && at < PyTuple_GET_SIZE(tuple); at++) {
        rc = add_value(digest, PyTuple_GET_ITEM(tuple, at), level);
    }
    return rc;
}

/* The sum of the items' digests, because their order varies. */
static int
add_set(uint64_t *digest, PyObject *set, int level)
{
    PyObject *items = PySequence_Tuple(set); /* owned */
    uint64_t sum = 0;
    int rc = items == NULL ? -1 : 0;
    for (Py_ssize_t at = 0; rc == 0 && at < PyTuple_GET_SIZE(items); at++) {
        uint64_t its = 0;
        rc = digest_of(PyTuple_GET_ITEM(items, at), level + 1, &its);
        sum += its;
    }
    Py_XDECREF(items);
    *digest = add_number(*digest, sum);
    return rc;
}

static int
add_slice(uint64_t *digest, PyObject *value, int level)
{
    PySliceObject *slice = (PySliceObject *)value;
    return add_value(digest, slice->start, level) < 0 ||
                   add_value(digest, slice->stop, level) < 0 ||
                   add_value(digest, slice->step, level) < 0
               ? -1
               : 0;
}

/* The digest of a constant, or of another part of a code object. */
static int
digest_of(PyObject *value, int level, uint64_t *digest)
{
    int rc = 0;
    if (level > MAX_LEVELS) {
        *digest = begin('.');
    } else if (PyUnicode_CheckExact(value)) {
        *digest = begin('s');
        rc = add_text(digest, value);
    } else if (PyBytes_CheckExact(value)) {
        *digest = add_bytes(begin('b'), PyBytes_AS_STRING(value), (size_t)PyBytes_GET_SIZE(value));
    } else if (PyLong_CheckExact(value)) {
        PyObject *digits = PyNumber_ToBase(value, 16); /* owned; decimals are limited in length */
        *digest = begin('i');
        rc = digits == NULL ? -1 : add_text(digest, digits);
        Py_XDECREF(digits);
    } else if (PyFloat_CheckExact(value)) {
        *digest = add_double(begin('f'), PyFloat_AS_DOUBLE(value));
    } else if (PyComplex_CheckExact(value)) {
        *digest = add_double(begin('c'), PyComplex_RealAsDouble(value));
        *digest = add_double(*digest, PyComplex_ImagAsDouble(value));
    } else if (PyTuple_CheckExact(value)) {
        *digest = begin('(');
        rc = add_items(digest, value, level);
    } else if (PyFrozenSet_CheckExact(value)) {
        *digest = begin('{');
        rc = add_set(digest, value, level);
    } else if (PySlice_Check(value)) {
        *digest = begin(':');
        rc = add_slice(digest, value, level);
    } else if (PyCode_Check(value)) {
        *digest = begin('d');
        rc = add_code(digest, (PyCodeObject *)value, level);
    } else {
        /* None, True, False, Ellipsis, and types that no compiler makes: digest the type. */
        const char *kind = Py_TYPE(value)->tp_name;
        *digest = add_bytes(begin('o'), kind, strlen(kind));
        *digest = add_number(*digest, value == Py_True);
    }
    return rc;
}

char *
by_value_name(PyCodeObject *code, const char *path)
{
    uint64_t digest = 0;
    if (digest_of((PyObject *)code, 0, &digest) < 0) {
        return NULL;
    }
    const char *name = PyUnicode_AsUTF8(code->co_qualname);
    if (name == NULL && !PyErr_ExceptionMatches(PyExc_UnicodeEncodeError)) {
        return NULL;
    }
    PyErr_Clear();
    if (name == NULL || strchr(name, '\n') != NULL) {
        name = "?"; /* no compiler makes such a name, and the format below cannot hold it */
    }
    const char *format = "%s\n%ld\n%d\n%016llx\n%s\n%s";
    long python = PyImport_GetMagicNumber() & 0xffff;
    int line = code->co_firstlineno;
    unsigned long long number = digest;
    int length = snprintf(NULL, 0, format, sent, python, line, number, name, path);
    char *text = length < 0 ? NULL : malloc((size_t)length + 1);
    if (text == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    snprintf(text, (size_t)length + 1, format, sent, python, line, number, name, path);
    return text;
}
