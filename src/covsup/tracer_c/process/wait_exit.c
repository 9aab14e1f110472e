/* process/wait_exit.c - record how this process ends, and how the children end that it waits for.
 *
 * The patched functions run unchanged, with their EINTR, signal handlers and exceptions. Only their
 * results are read.
 *
 * Threads: with an attached thread state; at_exit() runs on the thread that calls exit().
 * Must never know: why a process ended. */
#include "process/patches.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "process/failed_exec.h"
#include "journal/journal.h"

/* --- children ---------------------------------------------------------------------------- */

static void
write_reaped_event(long pid, long status)
{
    if (pid <= 0) {
        return; /* WNOHANG, and no child has ended */
    }
    int raw = (int)status;
    if (!WIFEXITED(raw) && !WIFSIGNALED(raw)) {
        return; /* stopped or continued */
    }
    uint32_t pid32 = (uint32_t)pid;
    int32_t status32 = raw;
    char payload[sizeof(pid32) + sizeof(status32)];
    memcpy(payload, &pid32, sizeof(pid32));
    memcpy(payload + sizeof(pid32), &status32, sizeof(status32));
    (void)journal_event(EVENT_REAPED, payload, sizeof(payload));
}

/* Item `at` of a tuple; -1: it has none, or no number. No exception. */
static long
number_at(PyObject *tuple, Py_ssize_t at)
{
    if (at >= PyTuple_GET_SIZE(tuple) || !PyLong_Check(PyTuple_GET_ITEM(tuple, at))) {
        return -1;
    }
    int overflow;
    return PyLong_AsLongAndOverflow(PyTuple_GET_ITEM(tuple, at), &overflow);
}

/* wait() and wait3() return (pid, status, ...). */
static PyObject *
os_wait_handler(const patched_call *call)
{
    PyObject *result = patch_call_original(call);
    if (result != NULL && PyTuple_Check(result)) {
        write_reaped_event(number_at(result, 0), number_at(result, 1));
    }
    return result;
}
#define os_wait3_handler os_wait_handler

/* waitpid(pid, ...) and wait4(pid, ...) return the same, for one child. */
static PyObject *
os_waitpid_handler(const patched_call *call)
{
    int overflow;
    PyObject *argument = patch_argument(call, 0, "pid");
    long pid = argument != NULL && PyLong_Check(argument)
                   ? PyLong_AsLongAndOverflow(argument, &overflow)
                   : -1;
    bool exec_pending = pid > 0 && failed_exec_pending((uint32_t)pid); /* a zombie still shows it */
    PyObject *result = os_wait_handler(call);
    if (result != NULL && PyTuple_Check(result) && number_at(result, 0) == pid) {
        failed_exec_reaped((uint32_t)pid, exec_pending, (int)number_at(result, 1));
    }
    return result;
}
#define os_wait4_handler os_waitpid_handler

/* waitid() returns None, or (si_pid, si_uid, si_signo, si_status, si_code). */
static PyObject *
os_waitid_handler(const patched_call *call)
{
    enum { PID = 0, STATUS = 3, CODE = 4 };
    PyObject *result = patch_call_original(call);
    if (result != NULL && PyTuple_Check(result)) {
        long pid = number_at(result, PID), status = number_at(result, STATUS);
        switch (number_at(result, CODE)) {
        case CLD_EXITED:
            write_reaped_event(pid, (status & 0xff) << 8);
            break;
        case CLD_KILLED:
            write_reaped_event(pid, status);
            break;
        case CLD_DUMPED:
            write_reaped_event(pid, status | 0x80);
            break;
        default: /* stopped, continued */
            break;
        }
    }
    return result;
}

PATCH(os_wait, "posix", "wait");
PATCH(os_waitpid, "posix", "waitpid");
PATCH(os_wait3, "posix", "wait3");
PATCH(os_wait4, "posix", "wait4");
PATCH(os_waitid, "posix", "waitid");

builtin_patch *const wait_patches[] = {&os_wait,  &os_waitpid, &os_wait3,
                                       &os_wait4, &os_waitid,  NULL};

/* --- this process ------------------------------------------------------------------------ */

static void
write_ended_event(uint8_t how, int32_t status)
{
    char payload[sizeof(how) + sizeof(status)];
    memcpy(payload, &how, sizeof(how));
    memcpy(payload + sizeof(how), &status, sizeof(status));
    (void)journal_event(EVENT_ENDED, payload, sizeof(payload));
}

static PyObject *
underscore_exit_handler(const patched_call *call)
{
    PyObject *status = patch_argument(call, 0, "status");
    if (status != NULL && PyLong_Check(status)) {
        int overflow;
        long number = PyLong_AsLongAndOverflow(status, &overflow);
        if (overflow == 0 && number >= INT32_MIN && number <= INT32_MAX) {
            write_ended_event(ENDED_BY_UNDERSCORE_EXIT, (int32_t)number);
        }
    }
    return patch_call_original(call);
}

PATCH(underscore_exit, "posix", "_exit");

builtin_patch *const exit_patches[] = {&underscore_exit, NULL};

#if defined(__GLIBC__)
/* on_exit() passes the status; atexit(), all that other C libraries have, does not. */
static void
at_exit(int status, void *unused)
{
    write_ended_event(ENDED_BY_EXIT, status);
}
#define REGISTER_AT_EXIT() on_exit(at_exit, NULL)
#else
static void
at_exit(void)
{
    write_ended_event(ENDED_OTHERWISE, 0);
}
#define REGISTER_AT_EXIT() atexit(at_exit)
#endif

int
register_exit_handler(void)
{
    static atomic_flag registered = ATOMIC_FLAG_INIT; /* by any interpreter of the process */
    if (atomic_flag_test_and_set(&registered)) {
        return 0;
    }
    if (REGISTER_AT_EXIT() != 0) {
        PyErr_NoMemory();
        return -1;
    }
    return 0;
}
