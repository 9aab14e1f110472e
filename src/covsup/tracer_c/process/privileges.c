/* process/privileges.c - whether this program runs with rights that whoever started it does not
 * have.
 *
 * Threads: any. Must never know: Python, the session. */
#include "process/privileges.h"

#include <unistd.h>
#ifdef __linux__
#include <sys/auxv.h>
#endif

bool
elevated(void)
{
    if (getuid() == 0) {
        return false; /* a server of root's that is another user for a while starts programs so */
    }
#ifdef __linux__
    return getauxval(AT_SECURE) != 0; /* getauxval(3): set-ID programs and file capabilities */
#else
    return issetugid() != 0;
#endif
}
