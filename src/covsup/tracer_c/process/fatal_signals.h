/* process/fatal_signals.h - record the signal that ends this process.
 *
 * Threads: any, one at a time (the caller holds the GIL).
 * Must never know: Python. */
#ifndef COVSUP_PROCESS_FATAL_SIGNALS_H
#define COVSUP_PROCESS_FATAL_SIGNALS_H

/* Record the signal `number` in the journal when it arrives, from now on. Its effect stays the
 * same. Does nothing for a signal that is ignored, that would not end the process, or that is
 * recorded already. */
void fatal_signals_record(int number);

#endif
