/* process/setuid.c - before the process becomes another user: a place for that user's journals.
 *
 * Threads: with an attached thread state.
 * Must never know: what is in a journal. */
#include "process/exec_spawn_fork.h"

#include "journal/journal.h"

void
hooks_let_in(PyObject *uid)
{
    if (uid == NULL || !PyLong_Check(uid)) {
        return; /* None; or the wrapped function says what is wrong */
    }
    int overflow;
    long long number = PyLong_AsLongLongAndOverflow(uid, &overflow);
    if (overflow == 0 && number > 0 && number < UINT32_MAX) {
        journal_let_in((uint64_t)number);
    }
}

static PyObject *
os_setuid_handler(const hook_call *call)
{
    hooks_let_in(hook_argument(call, 0, NULL));
    return hook_original(call);
}
#define os_seteuid_handler os_setuid_handler

/* setreuid and setresuid: real, effective, ... */
static PyObject *
os_setreuid_handler(const hook_call *call)
{
    hooks_let_in(hook_argument(call, 1, NULL));
    return hook_original(call);
}
#define os_setresuid_handler os_setreuid_handler

HOOK(os_setuid, "posix", "setuid");
HOOK(os_seteuid, "posix", "seteuid");
HOOK(os_setreuid, "posix", "setreuid");
HOOK(os_setresuid, "posix", "setresuid");

hook *const user_hooks[] = {&os_setuid, &os_seteuid, &os_setreuid, &os_setresuid, NULL};
