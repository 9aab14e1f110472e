/* process/exec_spawn_fork.c - pass the session on through exec, spawn and fork; record them.
 *
 * Threads: with an attached thread state.
 * Must never know: what is measured, which core does it. */
#include "process/patches.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cpython/compat.h"
#include "contexts/contexts.h"
#include "core/interpreter.h"
#include "process/session_variables.h"
#include "process/event_payload.h"
#include "process/failed_exec.h"
#include "process/setuid.h"
#include "cpython/builtin_patch.h"
#include "journal/journal.h"

/* --- exec -------------------------------------------------------------------------------- */

/* os.execvp() tries each directory of PATH. A path without a file deserves no event. */
static bool
cannot_exist(event_payload *path)
{
    path->bytes[path->size] = '\0';
    return path->size > 0 && access(path->bytes, F_OK) != 0 &&
           (errno == ENOENT || errno == ENOTDIR);
}

static bool
write_exec_event(const patched_call *call)
{
    PyObject *path = patch_argument(call, 0, "path"), *argv = patch_argument(call, 1, "argv");
    if (path == NULL || argv == NULL) {
        return false;
    }
    event_payload *payload = payload_new();
    if (payload == NULL) {
        (void)journal_event(EVENT_EXEC_ABOUT, "", 1); /* no memory for the command line */
        return true;
    }
    payload_add_path(payload, path);
    bool can_exist = !cannot_exist(payload);
    if (can_exist) {
        payload_add(payload, "", 1);
        payload_add_argv(payload, argv);
        (void)journal_event(EVENT_EXEC_ABOUT, payload->bytes, payload->size);
    }
    payload_free(payload);
    return can_exist;
}

/* The errno of the current OSError; 0 for another exception. */
static int
errno_of_exception(void)
{
    long number = 0;
    int overflow;
    if (!PyErr_ExceptionMatches(PyExc_OSError)) {
        return 0;
    }
    PyObject *exception = compat_take_exception(); /* owned, until it is set again */
    PyObject *attribute = PyObject_GetAttrString(exception, "errno"); /* owned */
    if (attribute != NULL && PyLong_Check(attribute)) {
        number = PyLong_AsLongAndOverflow(attribute, &overflow);
    }
    Py_XDECREF(attribute);
    compat_restore_exception(exception);
    return (int)number;
}

static void
write_exec_failed_event(bool recorded)
{
    if (recorded) {
        int32_t number = errno_of_exception();
        (void)journal_event(EVENT_EXEC_FAILED, &number, sizeof(number));
    }
}

static PyObject *
os_execv_handler(const patched_call *call)
{
    environ_change change;
    bool recorded = write_exec_event(call);
    environ_add_session(&change);
    PyObject *result = patch_call_original(call); /* returns only after a failure */
    environ_restore(&change);
    write_exec_failed_event(recorded);
    return result;
}

/* Call the original with the argument replaced by `environ` (stolen); NULL: with the same argument.
 */
static PyObject *
call_with_environ(const patched_call *call, Py_ssize_t position, const char *keyword,
                  PyObject *environ)
{
    if (environ == NULL) {
        return patch_call_original(call);
    }
    PyObject *result = patch_call_original_with(call, position, keyword, environ);
    Py_DECREF(environ);
    return result;
}

static PyObject *
os_execve_handler(const patched_call *call)
{
    bool recorded = write_exec_event(call);
    PyObject *environ = patch_argument(call, 2, "env");
    PyObject *with_session = environ == NULL ? NULL : environ_mapping_with_session(environ);
    PyObject *result = call_with_environ(call, 2, "env", with_session);
    write_exec_failed_event(recorded);
    return result;
}

PATCH(os_execv, "posix", "execv");
PATCH(os_execve, "posix", "execve");

/* --- spawn ------------------------------------------------------------------------------- */

/* The child's pid that a call returned; 0: it failed. */
static uint32_t
pid_of(PyObject *result)
{
    int overflow = 0;
    return result == NULL || !PyLong_Check(result)
               ? 0
               : (uint32_t)PyLong_AsLongAndOverflow(result, &overflow);
}

static void
write_spawned_event(PyObject *result, PyObject *argv)
{
    uint32_t pid = pid_of(result);
    if (pid == 0) {
        return;
    }
    event_payload *payload = payload_new();
    if (payload == NULL) {
        (void)journal_event(EVENT_SPAWNED, &pid, sizeof(pid)); /* no memory for the command line */
        return;
    }
    payload_add(payload, &pid, sizeof(pid));
    if (argv != NULL) {
        payload_add_argv(payload, argv);
    }
    (void)journal_event(EVENT_SPAWNED, payload->bytes, payload->size);
    payload_free(payload);
}

/* How many bytes can be read from the descriptor that is an argument of a call; 0: it is none. */
static int
bytes_waiting(PyObject *argument)
{
    int overflow = 0, waiting = 0;
    if (argument == NULL || !PyLong_Check(argument)) {
        return 0;
    }
    long descriptor = PyLong_AsLongAndOverflow(argument, &overflow);
    if (descriptor < 0 || descriptor > INT_MAX || ioctl((int)descriptor, FIONREAD, &waiting) != 0) {
        return 0;
    }
    return waiting;
}

static bool
is_given(PyObject *argument)
{
    return argument != NULL && argument != Py_None;
}

/* fork_exec(args, executables, close_fds, pass_fds, cwd, env, ...); how many arguments follow
 * depends on the version. A child that cannot execute the program writes the error to a pipe: then
 * nothing was spawned. After a vfork() the error is there when fork_exec() returns. After a fork()
 * it may come later: failed_exec.c finds it when the child is waited for. */
static PyObject *
os_fork_exec_handler(const patched_call *call)
{
    enum { ARGS = 0, ENVIRON = 5, ERRORS = 12, GROUP = 17, GROUPS = 18, USER = 19, BEFORE = 21 };
    PyObject *environ = patch_argument(call, ENVIRON, NULL);
    PyObject *with_session = NULL; /* stolen by call_with_environ() */
    prepare_for_setuid(patch_argument(call, USER, NULL));
    if (environ == Py_None) {
        environ_add_session(NULL);
    } else if (environ != NULL) {
        with_session = environ_list_with_session(environ);
    }
    int before = bytes_waiting(patch_argument(call, ERRORS, NULL));
    PyObject *result = call_with_environ(call, ENVIRON, NULL, with_session);
    if (bytes_waiting(patch_argument(call, ERRORS, NULL)) <= before) {
        write_spawned_event(result, patch_argument(call, ARGS, NULL));
        if (is_given(patch_argument(call, GROUP, NULL)) ||
            is_given(patch_argument(call, GROUPS, NULL)) ||
            is_given(patch_argument(call, USER, NULL)) ||
            is_given(patch_argument(call, BEFORE, NULL))) {
            failed_exec_watch(pid_of(result)); /* with any of these, CPython forks */
        }
    }
    return result;
}

/* posix_spawn(path, argv, env, /, *, ...). From 3.13 on, env may be None. */
static PyObject *
os_posix_spawn_handler(const patched_call *call)
{
    enum { ARGV = 1, ENVIRON = 2 };
    PyObject *environ = patch_argument(call, ENVIRON, NULL);
    PyObject *with_session = NULL; /* stolen by call_with_environ() */
    if (environ == Py_None) {
        environ_add_session(NULL);
    } else if (environ != NULL) {
        with_session = environ_mapping_with_session(environ);
    }
    PyObject *result = call_with_environ(call, ENVIRON, NULL, with_session);
    write_spawned_event(result, patch_argument(call, ARGV, NULL));
    return result;
}
#define os_posix_spawnp_handler os_posix_spawn_handler

/* system() does not return the shell's pid, so there is no event. */
static PyObject *
os_system_handler(const patched_call *call)
{
    environ_add_session(NULL);
    return patch_call_original(call);
}

PATCH(os_fork_exec, "_posixsubprocess", "fork_exec");
PATCH(os_posix_spawn, "posix", "posix_spawn");
PATCH(os_posix_spawnp, "posix", "posix_spawnp");
PATCH(os_system, "posix", "system");

builtin_patch *const exec_patches[] = {&os_execv, &os_execve, NULL};
builtin_patch *const spawn_patches[] = {&os_fork_exec, &os_posix_spawn, &os_posix_spawnp,
                                        &os_system, NULL};

/* --- fork -------------------------------------------------------------------------------- */

/* In the child, before the target's own functions for os.register_at_fork(). */
static PyObject *
after_fork_in_child(PyObject *Py_UNUSED(module), PyObject *none)
{
    journal_after_fork();
    environ_after_fork();
    core *self = interpreter_core();
    if (self != NULL) {
        contexts_after_fork(self);
    }
    Py_RETURN_NONE;
}

static PyMethodDef after_fork_definition = {"after_fork_in_child", after_fork_in_child, METH_NOARGS,
                                            NULL};

int
register_after_fork(void)
{
    int rc = -1;
    PyObject *callback = NULL, *posix = NULL, *function = NULL; /* owned */
    PyObject *keywords = NULL, *nothing = NULL, *result = NULL; /* owned */
    if ((posix = PyImport_ImportModule("posix")) == NULL ||
        (function = PyObject_GetAttrString(posix, "register_at_fork")) == NULL ||
        (callback = PyCFunction_New(&after_fork_definition, NULL)) == NULL ||
        (keywords = Py_BuildValue("{sO}", "after_in_child", callback)) == NULL ||
        (nothing = PyTuple_New(0)) == NULL ||
        (result = PyObject_Call(function, nothing, keywords)) == NULL) {
        goto done;
    }
    rc = 0;
done:
    Py_XDECREF(callback);
    Py_XDECREF(posix);
    Py_XDECREF(function);
    Py_XDECREF(keywords);
    Py_XDECREF(nothing);
    Py_XDECREF(result);
    return rc;
}
