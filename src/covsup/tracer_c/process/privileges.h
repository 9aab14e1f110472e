/* process/privileges.h - whether this program runs with rights that whoever started it does not
 * have. */
#ifndef COVSUP_PROCESS_PRIVILEGES_H
#define COVSUP_PROCESS_PRIVILEGES_H

#include <stdbool.h>

/* True for a set-user-ID or set-group-ID program, or one with capabilities of its own, unless root
 * started it: its environment is that of somebody who may less, and must not steer it. */
bool elevated(void);

#endif
