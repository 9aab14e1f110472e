/* process/fatal_signals.h - have the journal say which signal ended the process.
 *
 * Threads: on any thread.
 * Must never know: Python. */
#ifndef COVSUP_PROCESS_FATAL_SIGNALS_H
#define COVSUP_PROCESS_FATAL_SIGNALS_H

/* From now on the journal tells of the signal `number` when it arrives; what it does is what it
 * did before. Nothing happens where it is ignored, where it would not end the process, or where
 * this was asked for already. */
void fatal_signals_record(int number);

#endif
