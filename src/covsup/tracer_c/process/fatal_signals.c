/* process/fatal_signals.c - record the signal that ends this process.
 *
 * A handler of covsup's adds an event. Then it calls the handler that was there before, or takes
 * the default action by sending the same signal again. It is a C handler, not a Python one: a
 * thread in C code still dies at once, and signal.getsignal() shows what it showed before.
 *
 * Signals: on_signal() runs between any two instructions of any thread. journal_event() takes no
 * lock and allocates nothing, so the signal may have interrupted journal_event() itself.
 * Fork: a child inherits the handlers and their data. An exec drops them.
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

/* Written under the GIL, before the handler for that signal is installed; it only reads them. */
static struct sigaction previous[NSIG];

/* Whether the stack has room for journal_event(). The target may have given its handler an
 * alternate stack with only some 100 bytes beside the registers that the kernel stores (up to 3
 * KiB). */
static bool
has_room(const ucontext_t *interrupted)
{
    const stack_t *alternate = &interrupted->uc_stack; /* as it was when the signal came */
    uintptr_t here = (uintptr_t)__builtin_frame_address(0), start = (uintptr_t)alternate->ss_sp;
    return (alternate->ss_flags & SS_DISABLE) != 0 || here < start ||
           here >= start + alternate->ss_size || here - start >= JOURNAL_EVENT_STACK;
}

/* The functions that record are not inlined, so that their stack is free again when the target's
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
record(int number, const ucontext_t *interrupted)
{
    int saved = errno;
    if (!has_room(interrupted)) {
        journal_count_lost_event();
    } else if (is_default(&previous[number])) {
        record_end(number);
    } else {
        record_arrival(number);
    }
    errno = saved;
}

static __attribute__((noinline)) void
take_default_action(int number)
{
    int saved = errno;
    (void)sigaction(number, &previous[number], NULL);
    (void)raise(number); /* it is blocked now, and kills as this handler returns */
    errno = saved;
}

static void
on_signal(int number, siginfo_t *info, void *context)
{
    const struct sigaction *old = &previous[number];
    record(number, context);
    /* Each of these calls comes last, so it has the whole stack. */
    if (is_default(old)) {
        take_default_action(number);
    } else if ((old->sa_flags & SA_SIGINFO) != 0) {
        old->sa_sigaction(number, info, context);
    } else {
        old->sa_handler(number);
    }
}

/* Does the default action of this signal end this process? */
static bool
is_fatal(int number)
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
        /* The first process of a container gets no signal for which it has no handler. */
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
        (handler_alone && now.sa_handler == SIG_IGN) || (is_default(&now) && !is_fatal(number))) {
        return;
    }
    previous[number] = now;
    /* Keep the flags, and so the stack that the target chose for its handler; add SA_SIGINFO, since
     * the target's handler may want it. Where there is no handler, only SIGSEGV needs another
     * stack: it may mean that this one is full. */
    now.sa_flags |= SA_SIGINFO | (is_default(&now) && number == SIGSEGV ? SA_ONSTACK : 0);
    now.sa_sigaction = on_signal;
    (void)sigaction(number, &now, NULL); /* fails for SIGKILL and SIGSTOP */
}
