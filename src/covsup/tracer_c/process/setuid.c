/* process/setuid.c - before the process becomes another user: a place for that user's journals.
 *
 * Threads: with an attached thread state.
 * Must never know: what is in a journal. */
#include "process/exec_spawn_fork.h"

#include "journal/journal.h"

void
prepare_for_setuid(PyObject *uid)
{
    if (uid == NULL || !PyLong_Check(uid)) {
        return; /* None; or the wrapped function says what is wrong */
    }
    int overflow;
    long long number = PyLong_AsLongLongAndOverflow(uid, &overflow);
    if (overflow == 0 && number > 0 && number < UINT32_MAX) {
        journal_grant_user((uint64_t)number);
    }
}

static PyObject *
os_setuid_handler(const patched_call *call)
{
    prepare_for_setuid(patch_argument(call, 0, NULL));
    return patch_call_original(call);
}
#define os_seteuid_handler os_setuid_handler

/* setreuid and setresuid: real, effective, ... */
static PyObject *
os_setreuid_handler(const patched_call *call)
{
    prepare_for_setuid(patch_argument(call, 1, NULL));
    return patch_call_original(call);
}
#define os_setresuid_handler os_setreuid_handler

PATCH(os_setuid, "posix", "setuid");
PATCH(os_seteuid, "posix", "seteuid");
PATCH(os_setreuid, "posix", "setreuid");
PATCH(os_setresuid, "posix", "setresuid");

builtin_patch *const setuid_patches[] = {&os_setuid, &os_seteuid, &os_setreuid, &os_setresuid,
                                         NULL};
