/* journal/window.h - map another part of a file that is mapped already, without a descriptor.
 *
 * Must never know: Python, what is stored in a window.
 */
#ifndef COVSUP_JOURNAL_WINDOW_H
#define COVSUP_JOURNAL_WINDOW_H

#include "journal/mappings.h"

/* Map the bytes [offset, offset + length) of the file, which are whole pages behind the part of it
 * that is mapped. 0 or errno. */
int journal_open_window(const mapping *file, uint64_t offset, uint64_t length, mapping *window);

#endif
