/* main.c - the start of the carrier, a library for LD_PRELOAD. It passes the session on through
 * programs that start others, and measures each Python.
 *
 * Threads: the constructor runs before main(), alone.
 * Must never know: what the parts do. */
#include "passed_variables.h"
#include "interpose.h"
#include "python_start.h"

__attribute__((constructor)) static void
carrier_start(void)
{
    interpose_start();
    environment_start();
    if (environment_session() != NULL) {
        python_start();
    }
}
