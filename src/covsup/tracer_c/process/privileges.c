/* process/privileges.c - whether this program has rights that the user who started it lacks.
 *
 * Must never know: Python, the session. */
#include "process/privileges.h"

#include <unistd.h>
#ifdef __linux__
#include <sys/auxv.h>
#endif

bool
privileges_are_elevated(void)
{
    if (getuid() == 0) {
        return false; /* root's server that has become another user for a while starts programs so
                       */
    }
#ifdef __linux__
    return getauxval(AT_SECURE) != 0; /* getauxval(3): set-ID programs and file capabilities */
#else
    return issetugid() != 0;
#endif
}
