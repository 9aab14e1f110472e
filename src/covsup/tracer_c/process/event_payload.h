/* process/event_payload.h - build the payload of an event from paths and command lines.
 *
 * Threads: with an attached thread state.
 * Must never know: which call the event is about. */
#ifndef COVSUP_PROCESS_EVENT_PAYLOAD_H
#define COVSUP_PROCESS_EVENT_PAYLOAD_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stddef.h>

/* A longer command line is cut: people read it, and a journal is small. */
#define EVENT_PAYLOAD_MAX 4096

typedef struct {
    size_t size;
    char bytes[EVENT_PAYLOAD_MAX + 1]; /* with room for a NUL */
} event_payload;

/* A new, empty payload on the heap: it is too large for a small stack. NULL: no memory; no
 * exception is set. */
event_payload *payload_new(void);
void payload_free(event_payload *payload);

/* Append bytes, as far as there is room. */
void payload_add(event_payload *payload, const void *bytes, size_t size);

/* Append a path: str, bytes, a descriptor, or an object with __fspath__. Anything else adds
 * nothing. No exception. */
void payload_add_path(event_payload *payload, PyObject *path);

/* Append the items of a list or tuple, separated by NUL. Anything else adds nothing. No exception.
 */
void payload_add_argv(event_payload *payload, PyObject *argv);

#endif
