/* main.c - a small library for LD_PRELOAD: takes the session through whatever starts programs,
 * and measures each Python that it comes to.
 *
 * Threads: the constructor runs before main(), alone.
 * Must never know: what the three parts do. */
#include "environment.h"
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
