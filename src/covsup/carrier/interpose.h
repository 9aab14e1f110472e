/* interpose.h - the C library's functions that start programs, interposed.
 *
 * Must never know: Python, what is passed on. */
#ifndef COVSUP_CARRIER_INTERPOSE_H
#define COVSUP_CARRIER_INTERPOSE_H

/* Look up the interposed functions. dlsym() takes a lock, which a child of fork() must not do, so
 * this is done before main(). */
void interpose_start(void);

#endif
