/* process/event_payload.c - build the payload of an event. See event_payload.h.
 *
 * Must never know: which call the event is about. */
#include "process/event_payload.h"

#include <stdio.h>
#include <string.h>

event_payload *
payload_new(void)
{
    event_payload *payload = PyMem_RawMalloc(sizeof(*payload));
    if (payload != NULL) {
        payload->size = 0;
    }
    return payload;
}

void
payload_free(event_payload *payload)
{
    PyMem_RawFree(payload);
}

void
payload_add(event_payload *payload, const void *bytes, size_t size)
{
    size_t room = EVENT_PAYLOAD_MAX - payload->size;
    if (size > room) {
        size = room;
    }
    memcpy(payload->bytes + payload->size, bytes, size);
    payload->size += size;
}

static void
add_object(event_payload *payload, PyObject *item)
{
    PyObject *path = NULL, *encoded = NULL; /* owned */
    if (PyUnicode_Check(item) || PyBytes_Check(item)) {
        path = Py_NewRef(item);
    } else {
        /* __fspath__ may be Python code, and the patched function will call it, too. Hide this call
         * from the target's tracers, so that they see one. */
        PyThreadState *thread = PyThreadState_Get();
        PyThreadState_EnterTracing(thread);
        path = PyOS_FSPath(item);
        PyThreadState_LeaveTracing(thread);
    }
    if (path != NULL) {
        encoded = PyUnicode_Check(path) ? PyUnicode_EncodeFSDefault(path) : Py_NewRef(path);
    }
    if (encoded != NULL) {
        payload_add(payload, PyBytes_AS_STRING(encoded), (size_t)PyBytes_GET_SIZE(encoded));
    }
    PyErr_Clear(); /* the patched function meets the same error and raises it */
    Py_XDECREF(path);
    Py_XDECREF(encoded);
}

void
payload_add_path(event_payload *payload, PyObject *path)
{
    if (PyLong_Check(path)) {
        int overflow = 0;
        char text[32];
        long number = PyLong_AsLongAndOverflow(path, &overflow);
        int size = snprintf(text, sizeof(text), "/dev/fd/%ld", number);
        payload_add(payload, text, (size_t)size);
        return;
    }
    add_object(payload, path);
}

void
payload_add_argv(event_payload *payload, PyObject *argv)
{
    if (!PyList_Check(argv) && !PyTuple_Check(argv)) {
        return;
    }
    /* Read the size each time: __fspath__ may change the list. */
    for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(argv); i++) {
        if (i > 0) {
            payload_add(payload, "", 1);
        }
        PyObject *item = Py_NewRef(PySequence_Fast_GET_ITEM(argv, i));
        add_object(payload, item);
        Py_DECREF(item);
    }
}
