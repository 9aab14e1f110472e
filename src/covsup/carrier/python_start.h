/* python_start.h - measure a Python in this process, if there is one, from its first line.
 *
 * Must never know: which functions start programs. */
#ifndef COVSUP_CARRIER_PYTHON_START_H
#define COVSUP_CARRIER_PYTHON_START_H

/* Before main(): look for a Python, and add an audit hook that sees when it is about to run code.
 */
void python_start(void);

#endif
