/* process/privileges.h - whether this program has rights that the user who started it lacks.
 *
 * Threads: any.
 * Must never know: Python, the session. */
#ifndef COVSUP_PROCESS_PRIVILEGES_H
#define COVSUP_PROCESS_PRIVILEGES_H

#include <stdbool.h>

/* True for a set-user-ID or set-group-ID program, or one with file capabilities, unless root
 * started it. The environment then comes from a user with fewer rights, so it must not be trusted.
 */
bool privileges_are_elevated(void);

#endif
