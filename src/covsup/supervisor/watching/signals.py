"""Receive signals for the target and forward them, and stop and end as the target does.

While the target runs, every signal is blocked in the supervisor and taken from the queue one by
one. So no handler interrupts anything, and no signal is lost. A signal that was sent to the
supervisor alone is forwarded. One that was sent to the whole process group (Ctrl-C) is not: the
target has got it.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
import time

from covsup.hints import TYPE_CHECKING, NamedTuple
from covsup.supervisor.messages import print_message
from covsup.supervisor.watching.linux import forbid_core_file, take_signal

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final, NoReturn

    from covsup.supervisor.watching.signal_witness import SignalWitness

_CATCHABLE: Final = frozenset(signal.valid_signals()) - {signal.SIGKILL, signal.SIGSTOP}
_FROM_THE_KERNEL: Final = 128  # SI_KERNEL
_STOPS: Final = frozenset({signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU})
_FROM_KEYS: Final = frozenset({signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP})
_END: Final = frozenset({signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT})
_WITHOUT_INFO_SECONDS: Final = 0.02
_AGAIN_SECONDS: Final = 0.01


class Received(NamedTuple):
    """A signal that the supervisor received."""

    number: int
    sender: int  # a pid; 0 = the kernel, another pid namespace, or unknown
    code: int  # si_code


class EndRequested(BaseException):
    """A signal has asked this process to end. Not an Exception, so no error handler catches it."""

    def __init__(self, number: int) -> None:
        """`number` is the signal's."""
        super().__init__(number)
        self.number = number


def block() -> set[int]:
    """Block every signal; gives the previous mask."""
    return {int(each) for each in signal.pthread_sigmask(signal.SIG_BLOCK, _CATCHABLE)}


def unblock(mask: set[int]) -> None:
    """Set a mask again. Pending signals are dropped first."""
    while receive(0) is not None:
        pass
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def receive(seconds: float) -> Received | None:
    """The next signal, or None after at most so many seconds."""
    if sys.platform != "linux":
        return _receive_without_info(seconds)
    taken = take_signal(_CATCHABLE, seconds)
    return None if taken is None else Received(*taken)


def is_child_event(received: Received) -> bool:
    """Whether the kernel reports that a child has ended, stopped or continued."""
    return received.number == signal.SIGCHLD and received.code > 0


def is_inotify_signal(received: Received) -> bool:
    """Whether the kernel reports an event on the inotify descriptor."""
    return received.number == signal.SIGIO and received.code > 0


def raise_on_end_signals() -> None:
    """Have each signal that would end this process raise EndRequested, once it is unblocked."""
    for number in _END:
        if signal.getsignal(number) in {signal.SIG_DFL, signal.default_int_handler}:
            signal.signal(number, _raise)
    sys.unraisablehook = _raise_again


def _raise(number: int, _: object) -> NoReturn:
    raise EndRequested(number)


def _raise_again(unraisable: sys.UnraisableHookArgs) -> None:
    """Raise EndRequested again in a moment: the interpreter ignores an exception that is raised
    inside the callback of a weak reference, or in a __del__.
    """
    asked = unraisable.exc_value
    if not isinstance(asked, EndRequested):
        sys.__unraisablehook__(unraisable)
        return
    number = asked.number
    signal.signal(signal.SIGALRM, lambda *_: _raise(number, None))
    signal.setitimer(signal.ITIMER_REAL, _AGAIN_SECONDS)


def is_end_signal(received: Received) -> bool:
    """Whether a signal asks the supervisor to end."""
    return received.number in _END


def is_for_target(
    received: Received, witness: SignalWitness | None, is_child: Callable[[int], bool]
) -> bool:
    """Whether the target would get this signal if it ran without covsup, and has not got it yet.

    `is_child` tells whether a pid is a child of this process. A signal from a child (the target, an
    adopted orphan) is not for the target: sent to the parent, it is meant for the process that
    started covsup; sent to the group, the target has got it itself.
    """
    if received.sender == os.getpid() or (received.sender and is_child(received.sender)):
        return False
    if received.code == _FROM_THE_KERNEL and received.number in _FROM_KEYS:
        # From a terminal, which signals whole groups only.
        if witness is not None:
            witness.discard_pending(received.number)
        return False
    grouped = witness.was_sent_to_group(received.number) if witness is not None else None
    if grouped is not None:
        return not grouped
    return received.code != _FROM_THE_KERNEL and not (
        sys.platform == "darwin" and received.number in _FROM_KEYS and _in_the_foreground()
    )


def forward(number: int, target: int) -> None:
    """Send a signal to the target."""
    try:
        os.kill(target, number)
    except ProcessLookupError:
        return
    except PermissionError:
        print_message(
            f"cannot forward {name_of(number)} to process {target}: it runs as another user"
        )


def stop_like_target(number: int, target: int, witness: SignalWitness | None) -> bool:
    """Stop with the signal that stopped the target, until this process or the target is continued.

    So the shell sees covsup stop as it would see the target. False if this process did not stop,
    because no process could continue it (in an orphaned process group, and as PID 1).
    """
    if witness is not None:
        witness.wake_when_continued(target)
    if number in _STOPS and signal.getsignal(number) is signal.SIG_DFL:
        # Sent before it is unblocked: if the terminal's signal is still pending, the two are one,
        # and this process stops once.
        os.kill(os.getpid(), number)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})
        signal.pthread_sigmask(signal.SIG_BLOCK, {number})
    else:
        os.kill(os.getpid(), signal.SIGSTOP)
    was_continued = _take(signal.SIGCONT)
    if witness is not None:
        witness.stop_waking(number)
    return was_continued


def end_like_target(status: int) -> NoReturn:
    """End with the exit status, or by the signal, of a raw wait status."""
    if not os.WIFSIGNALED(status):
        sys.exit(os.WEXITSTATUS(status))
    number = os.WTERMSIG(status)
    if os.getpid() != 1:
        # Leave no core file: it might overwrite the target's.
        _, hard = resource.getrlimit(resource.RLIMIT_CORE)
        resource.setrlimit(resource.RLIMIT_CORE, (0, hard))
        forbid_core_file()
        if number not in {signal.SIGKILL, signal.SIGSTOP}:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})
        os.kill(os.getpid(), number)
    # The kernel does not let PID 1 die by its own signal.
    sys.exit(128 + number)


def _take(number: int) -> bool:
    """Take a signal from the queue; whether it was pending."""
    if number not in signal.sigpending():
        return False
    signal.sigwait({number})
    return True


def _receive_without_info(seconds: float) -> Received | None:
    """Poll for pending signals, on systems without sigtimedwait."""
    until = time.monotonic() + seconds
    while True:
        pending = signal.sigpending() & _CATCHABLE
        if pending:
            number = signal.sigwait(pending)
            return Received(number=number, sender=0, code=int(number == signal.SIGCHLD))
        if time.monotonic() >= until:
            return None
        time.sleep(_WITHOUT_INFO_SECONDS)


def _in_the_foreground() -> bool:
    try:
        return os.tcgetpgrp(0) == os.getpgrp()
    except OSError:
        return False


def name_of(number: int) -> str:
    """The name of a signal."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
