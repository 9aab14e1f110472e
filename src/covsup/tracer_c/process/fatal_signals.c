/* process/fatal_signals.c - have the journal say which signal ended the process.
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
#define _DEFAULT_SOURCE 1 /* NSIG and stack_t, beside C11 */

#include "process/fatal_signals.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <ucontext.h>
#include <unistd.h>

#include "journal/journal.h"

#ifndef NSIG
#define NSIG 65
#endif

static struct sigaction before[NSIG]; /* written before our handler can run */

/* Whether there is room on the stack to say anything. A handler may run on an alternate stack that
 * the target has made as small as its own handler allows: some 100 bytes beside what the kernel
 * puts there (up to 3 KiB of registers). */
static bool
has_room(const ucontext_t *interrupted)
{
    const stack_t *alternate = &interrupted->uc_stack; /* as it was when the signal came */
    uintptr_t here = (uintptr_t)__builtin_frame_address(0), start = (uintptr_t)alternate->ss_sp;
    return (alternate->ss_flags & SS_DISABLE) != 0 || here < start ||
           here >= start + alternate->ss_size || here - start >= JOURNAL_EVENT_STACK;
}

/* The functions that say something are not inlined: what they need is not needed while the target's
 * handler runs. */
static __attribute__((noinline)) void
record_end(int number)
{
    uint8_t how = ENDED_BY_SIGNAL;
    int32_t status = number;
    char payload[sizeof(how) + sizeof(status)];
    memcpy(payload, &how, sizeof(how));
    memcpy(payload + sizeof(how), &status, sizeof(status));
    (void)journal_event(EVENT_ENDED, payload, sizeof(payload));
}

static __attribute__((noinline)) void
record_arrival(int number)
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

static __attribute__((noinline)) void
tell(int number, const ucontext_t *interrupted)
{
    int saved = errno;
    if (!has_room(interrupted)) {
        journal_count_lost_event();
    } else if (is_default(&before[number])) {
        record_end(number);
    } else {
        record_arrival(number);
    }
    errno = saved;
}

static __attribute__((noinline)) void
die(int number)
{
    int saved = errno;
    (void)sigaction(number, &before[number], NULL);
    (void)raise(number); /* it is blocked now, and kills as this handler returns */
    errno = saved;
}

static void
on_signal(int number, siginfo_t *info, void *context)
{
    const struct sigaction *old = &before[number];
    tell(number, context);
    /* Each of these is the last thing that is done, so it has the whole stack. */
    if (is_default(old)) {
        die(number);
    } else if ((old->sa_flags & SA_SIGINFO) != 0) {
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
fatal_signals_record(int number)
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
    /* As it was called before, on the stack that the target chose for its handler, but with all
     * that there is to know. Where there is none, only a stack that has no room left needs another.
     */
    now.sa_flags |= SA_SIGINFO | (is_default(&now) && number == SIGSEGV ? SA_ONSTACK : 0);
    now.sa_sigaction = on_signal;
    (void)sigaction(number, &now, NULL); /* SIGKILL and SIGSTOP refuse, and stay what they are */
}
