/* journal/text.h - append to a buffer that has room: text, decimal and hexadecimal numbers.
 *
 * Each function returns where the next one goes on; none of them stores a NUL. They stand in for
 * snprintf(), which a signal handler may not call.
 * Must never know: what the text is for.
 */
#ifndef COVSUP_JOURNAL_TEXT_H
#define COVSUP_JOURNAL_TEXT_H

#include <stddef.h>
#include <stdint.h>

char *journal_put_text(char *at, const char *text);
char *journal_put_number(char *at, uint64_t number);
char *journal_put_hex(char *at, const uint8_t *bytes, size_t count);

#endif
