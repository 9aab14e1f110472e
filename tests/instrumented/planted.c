/* planted.c - one fault for each sanitizer, to see that it is reported. */
#include <limits.h>
#include <stdlib.h>

int
use_after_free(void)
{
    volatile char *block = malloc(8);
    free((void *)block);
    return block[0];
}

int
overflow(void)
{
    volatile int most = INT_MAX;
    return most + 1;
}
