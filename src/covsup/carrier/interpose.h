/* interpose.h - the functions that start programs, in front of the C library's.
 *
 * Must never know: Python, what is carried. */
#ifndef COVSUP_CARRIER_INTERPOSE_H
#define COVSUP_CARRIER_INTERPOSE_H

/* Look up the functions that ours are in front of: dlsym() takes a lock, which is not to be had in
 * a child of fork(). */
void interpose_start(void);

#endif
