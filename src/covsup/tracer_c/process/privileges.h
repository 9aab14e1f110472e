/* process/privileges.h - whether this program runs with rights that whoever started it does not
 * have. */
#ifndef COVSUP_ELEVATED_H
#define COVSUP_ELEVATED_H

#include <stdbool.h>

/* True for a set-user-ID or set-group-ID program, or one with capabilities of its own, unless root
 * started it: its environment is that of somebody who may less, and must not steer it. */
bool elevated(void);

#endif
