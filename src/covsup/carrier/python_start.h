/* python_start.h - a Python in this process, if there is one, is measured from its first line.
 *
 * Must never know: which functions start programs. */
#ifndef COVSUP_CARRIER_PYTHON_START_H
#define COVSUP_CARRIER_PYTHON_START_H

/* Before main(): look for a Python and have it tell when it is about to run something. */
void python_start(void);

#endif
