/* end_signals.c - have the journal say which signal ended the process.
 *
 * A handler of ours stands before what was there: it adds an event, and then the handler that was
 * there is called, or the default action is taken by the same signal sent again. It is no handler
 * of Python's: a thread that is deep in C code dies at once, as it would have, and
 * signal.getsignal() shows what it showed.
 *
 * Signals: on_signal() runs between any two instructions of any thread. journal_event() takes no
 * lock and allocates nothing, so it may have been interrupted in itself.
 * Fork: handlers are inherited, and what they need with them. An exec drops them.
 * Must never know: Python. */
#define _DEFAULT_SOURCE 1 /* NSIG, beside C11 */

#include "end_signals.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "journal.h"

#ifndef NSIG
#define NSIG 65
#endif

static struct sigaction before[NSIG]; /* written before our handler can run */

static void
tell_end(int number)
{
    uint8_t how = ENDED_BY_SIGNAL;
    int32_t status = number;
    char payload[sizeof(how) + sizeof(status)];
    memcpy(payload, &how, sizeof(how));
    memcpy(payload + sizeof(how), &status, sizeof(status));
    (void)journal_event(EVENT_ENDED, payload, sizeof(payload));
}

static void
tell_arrival(int number)
{
    char text[] = "signal 00 came; the program's own handler was called";
    const size_t at = sizeof("signal ") - 1;
    text[at] = (char)('0' + number / 10 % 10);
    text[at + 1] = (char)('0' + number % 10);
    (void)journal_event(EVENT_NOTE, text, sizeof(text) - 1);
}

static bool
is_default(const struct sigaction *action)
{
    return (action->sa_flags & SA_SIGINFO) == 0 && action->sa_handler == SIG_DFL;
}

static void
on_signal(int number, siginfo_t *info, void *context)
{
    int saved = errno;
    const struct sigaction *old = &before[number];
    if (is_default(old)) {
        tell_end(number);
        (void)sigaction(number, old, NULL);
        (void)raise(number); /* it is blocked now, and kills as this handler returns */
        errno = saved;
        return;
    }
    tell_arrival(number);
    errno = saved;
    if ((old->sa_flags & SA_SIGINFO) != 0) {
        old->sa_sigaction(number, info, context);
    } else {
        old->sa_handler(number);
    }
}

/* Does the default action of this signal end a process? */
static bool
ends(int number)
{
    switch (number) {
    case SIGCHLD:
    case SIGCONT:
    case SIGURG:
    case SIGWINCH:
    case SIGTSTP:
    case SIGTTIN:
    case SIGTTOU:
        return false;
    default:
        /* The kernel keeps it from the first process of a container, unless it has a handler. */
        return getpid() != 1;
    }
}

void
end_signals_tell(int number)
{
    struct sigaction now;
    if (number <= 0 || number >= NSIG || sigaction(number, NULL, &now) != 0) {
        return;
    }
    bool handler_alone = (now.sa_flags & SA_SIGINFO) == 0;
    if ((!handler_alone && now.sa_sigaction == on_signal) ||
        (handler_alone && now.sa_handler == SIG_IGN) || (is_default(&now) && !ends(number))) {
        return;
    }
    before[number] = now;
    /* As it was called before, but with all that there is to know; a thread with a small stack may
     * have another one for signals. */
    now.sa_flags |= SA_SIGINFO | SA_ONSTACK;
    now.sa_sigaction = on_signal;
    (void)sigaction(number, &now, NULL); /* SIGKILL and SIGSTOP refuse, and stay what they are */
}
