"""Signals between whoever sends them to covsup, the terminal, and the target.

While the target runs every signal is blocked in the supervisor and taken from the queue one by one,
so nothing happens in between and nothing is lost. What was sent to the supervisor alone is passed
on; what the target got itself, because it went to the whole process group, is not.
"""

from __future__ import annotations

import os
import resource
import signal
import sys

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
    """A signal that the supervisor got."""

    number: int
    sender: int  # a pid; 0 = the kernel, another pid namespace, or unknown
    code: int  # si_code


class EndRequested(BaseException):
    """A signal asks this process to end."""

    def __init__(self, number: int) -> None:
        """The signal's number."""
        super().__init__(number)
        self.number = number


def block() -> set[int]:
    """Hold every signal back from now on; gives the mask as it was."""
    return {int(each) for each in signal.pthread_sigmask(signal.SIG_BLOCK, _CATCHABLE)}


def unblock(mask: set[int]) -> None:
    """Set a mask again; what is still in the queue is dropped first."""
    while receive(0) is not None:
        pass
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def receive(seconds: float) -> Received | None:
    """The next signal, or None if none comes in time; None may come early."""
    if sys.platform != "linux":
        return _receive_without_info(seconds)
    taken = take_signal(_CATCHABLE, seconds)
    return None if taken is None else Received(*taken)


def is_child_event(received: Received) -> bool:
    """Whether this is the kernel's word that a child ended, stopped or went on."""
    return received.number == signal.SIGCHLD and received.code > 0


def is_inotify_signal(received: Received) -> bool:
    """Whether this is the kernel's word that a descriptor of ours has something to say."""
    return received.number == signal.SIGIO and received.code > 0


def raise_on_end_signals() -> None:
    """From now on a signal that would end this process, once unblocked, raises EndRequested."""
    for number in _END:
        if signal.getsignal(number) in {signal.SIG_DFL, signal.default_int_handler}:
            signal.signal(number, _raise)
    sys.unraisablehook = _raise_again


def _raise(number: int, _: object) -> NoReturn:
    raise EndRequested(number)


def _raise_again(unraisable: sys.UnraisableHookArgs) -> None:
    """What was raised in a callback of the interpreter's (a weak reference's) ends nothing: do it
    once more in a moment, when that callback is over."""
    asked = unraisable.exc_value
    if not isinstance(asked, EndRequested):
        sys.__unraisablehook__(unraisable)
        return
    number = asked.number
    signal.signal(signal.SIGALRM, lambda *_: _raise(number, None))
    signal.setitimer(signal.ITIMER_REAL, _AGAIN_SECONDS)


def is_end_signal(received: Received) -> bool:
    """Whether somebody wants the supervisor itself to be done."""
    return received.number in _END


def is_for_target(
    received: Received, witness: SignalWitness | None, is_child: Callable[[int], bool]
) -> bool:
    """Whether the target would have got this signal if it ran alone, and has not got it yet.

    What a child of ours (the target, an adopted orphan, the witness) sends to its parent is meant
    for whoever started covsup, and a signal to its own group it has got itself.
    """
    if received.sender == os.getpid() or (received.sender and is_child(received.sender)):
        return False
    if received.code == _FROM_THE_KERNEL and received.number in _FROM_KEYS:
        # A terminal's, which signals nothing but groups.
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
    """Send the target a signal."""
    try:
        os.kill(target, number)
    except ProcessLookupError:
        return
    except PermissionError:
        print_message(
            f"cannot pass {name_of(number)} on to process {target}: it runs as another user"
        )


def stop_like_target(number: int, target: int, witness: SignalWitness | None) -> bool:
    """Stop with the signal that stopped the target, until somebody continues us or the target.

    The shell sees the supervisor stop as it would see the target. Gives whether we were continued;
    if not, we did not stop, because nobody could continue us (an orphaned process group, PID 1).
    """
    if witness is not None:
        witness.wake_when_continued(target)
    if number in _STOPS and signal.getsignal(number) is signal.SIG_DFL:
        # First sent, so that it is one with the terminal's if that is still pending; unblocked it
        # stops us here, once.
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
    """End as a raw wait status says: with the same exit status, or by the same signal."""
    if not os.WIFSIGNALED(status):
        sys.exit(os.WEXITSTATUS(status))
    number = os.WTERMSIG(status)
    if os.getpid() != 1:
        # Its core file has been written, if any; ours would take its place.
        _, hard = resource.getrlimit(resource.RLIMIT_CORE)
        resource.setrlimit(resource.RLIMIT_CORE, (0, hard))
        forbid_core_file()
        if number not in {signal.SIGKILL, signal.SIGSTOP}:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})
        os.kill(os.getpid(), number)
    # PID 1 is not killed by its own signals.
    sys.exit(128 + number)


def _take(number: int) -> bool:
    """Take a signal out of the queue; whether it was there."""
    if number not in signal.sigpending():
        return False
    signal.sigwait({number})
    return True


def _receive_without_info(seconds: float) -> Received | None:
    """Where sigtimedwait is missing: look whether one is pending, and take it."""
    import time  # noqa: PLC0415 - not on Linux

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
    """What a signal is called."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
