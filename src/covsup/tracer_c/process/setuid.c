/* process/setuid.c - make a directory for a user's journals before the process becomes that user.
 *
 * Afterwards it has no right to, and other users cannot write to the session directory.
 * Threads: with an attached thread state.
 * Must never know: what is in a journal. */
#include "process/setuid.h"

#include "journal/journal.h"
#include "process/patches.h"

void
prepare_for_setuid(PyObject *uid)
{
    if (uid == NULL || !PyLong_Check(uid)) {
        return; /* None, or an error that the patched function reports */
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

/* setreuid(real, effective), setresuid(real, effective, saved). */
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
