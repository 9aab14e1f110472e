/* process/event_payload.h - command lines as the payload of an event.
 *
 * Threads: with an attached thread state.
 * Must never know: which call the event is about. */
#ifndef COVSUP_PROCESS_EVENT_PAYLOAD_H
#define COVSUP_PROCESS_EVENT_PAYLOAD_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stddef.h>

/* A longer command line is cut: it is there to be read by people, and a journal is small. */
#define EVENT_PAYLOAD_MAX 4096

typedef struct {
    size_t size;
    char bytes[EVENT_PAYLOAD_MAX + 1]; /* and room for a NUL */
} event_payload;

/* An empty one, to be freed by payload_free(): it is too large for the stack of a thread. NULL: no
 * memory, and no exception. */
event_payload *payload_new(void);
void payload_free(event_payload *payload);

void payload_add(event_payload *payload, const void *bytes, size_t size);

/* str, bytes, an open file's number, or an object with __fspath__; else nothing. No exception. */
void payload_add_path(event_payload *payload, PyObject *path);

/* A list or tuple of such items, separated by NUL; else nothing. No exception. */
void payload_add_argv(event_payload *payload, PyObject *argv);

#endif
