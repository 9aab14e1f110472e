/* journal/text.c - append to a buffer that has room. See text.h.
 *
 * Must never know: what the text is for.
 */
#include "journal/text.h"

#include <string.h>

char *
journal_put_hex(char *at, const uint8_t *bytes, size_t count)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < count; i++) {
        *at++ = digits[bytes[i] >> 4];
        *at++ = digits[bytes[i] & 15];
    }
    return at;
}

char *
journal_put_number(char *at, uint64_t number)
{
    char reversed[20];
    int count = 0;
    do {
        reversed[count++] = (char)('0' + number % 10);
        number /= 10;
    } while (number != 0);
    while (count > 0) {
        *at++ = reversed[--count];
    }
    return at;
}

char *
journal_put_text(char *at, const char *text)
{
    size_t size = strlen(text);
    memcpy(at, text, size);
    return at + size;
}
