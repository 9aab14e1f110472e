"""The witness: a second process of the supervisor's process group, which sleeps.

It answers what the supervisor cannot know by itself. A signal that the supervisor got went to the
whole group (Ctrl-C, `kill -- -PGID`) if it is pending in the witness as well; then the target has it
too and must not get it again. And while the supervisor is stopped together with the target, the
witness sees the target go on and wakes the supervisor.

It is forked from the supervisor, with every signal blocked, and ends when the supervisor does. It
has the target's name, and its command line behind `[witness]`: who sends a signal to all that match
in one of these (`pkill`) sends it to the witness if to the target, and not because it is our fork.
"""

from __future__ import annotations

import os
import select
import signal
import time

from covsup.datafile.provenance.command_lines import WITNESS_NAME
from covsup.hints import TYPE_CHECKING
from covsup.supervisor.watching.linux import HAS_PROC, look_like

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Final, NoReturn

_DISCARD: Final = b"discard_pending"
_WATCH: Final = b"watch"
_DONE: Final = b"."
_STOPPED: Final = frozenset("Tt")
_LOOK_SECONDS: Final = 0.05
# The kernel signals the members of a group one after the other, without a pause.
_GROUP_SECONDS: Final = 0.005
_ANSWER_SECONDS: Final = 0.5  # it may be stopped, and then need not hold us up


class SignalWitness:
    """The supervisor's side."""

    def __init__(self, argv: Sequence[str] = ()) -> None:
        """Fork the witness of a target with this command line. The caller has blocked every signal."""
        commands_reading, self._commands = os.pipe()
        self._answers, answers_writing = os.pipe()
        supervisor = os.getpid()
        self.pid = os.fork()
        if self.pid == 0:
            _serve(supervisor, commands_reading, answers_writing, argv)
        os.close(commands_reading)
        os.close(answers_writing)

    def close(self) -> None:
        """End the witness and wait for it."""
        os.close(self._commands)
        os.close(self._answers)
        try:
            os.waitpid(self.pid, 0)
        except ChildProcessError:
            # Somebody killed it, and it was reaped among the orphans.
            return

    def was_sent_to_group(self, number: int) -> bool | None:
        """Whether a signal that we just got was sent to the whole group; None: not to be known."""
        if not HAS_PROC:
            return None
        grouped = self._has_got(number)
        if grouped:
            # This one only: what else is pending there is evidence of what we get next.
            self.discard_pending(number)
            while number in signal.sigpending() and self._has_got(number) is False:
                # Sent once more before this was forgotten: for the witness, as for any process that
                # has not had the time to handle the first, the two are one. So be it here.
                signal.sigwait({number})
        return grouped

    def wake_when_continued(self, target: int) -> None:
        """Wake us, who are about to stop, when the target goes on or ends."""
        self._command(b"%b %d\n" % (_WATCH, target))

    def stop_waking(self, stopped_by: int) -> None:
        """We are awake; the signals that had us stop and go on are dealt with."""
        self.discard_pending(stopped_by, signal.SIGCONT)

    def discard_pending(self, *numbers: int) -> None:
        """Signals that it has got tell nothing of those that we get from now on."""
        if self._command(b"%b %b\n" % (_DISCARD, b" ".join(b"%d" % each for each in numbers))):
            poll = select.poll()
            poll.register(self._answers, select.POLLIN)
            if poll.poll(_ANSWER_SECONDS * 1000):
                os.read(self._answers, 1)

    def _command(self, command: bytes) -> bool:
        try:
            os.write(self._commands, command)
        except OSError:
            # Killed; whether a signal went to the group is then told from its origin.
            return False
        return True

    def _has_got(self, number: int) -> bool | None:
        """Whether a signal that we have got is pending in the witness, or will be in a moment."""
        until = time.monotonic() + _GROUP_SECONDS
        while True:
            pending = self._pending()
            if pending is None:
                return None
            if pending >> (number - 1) & 1:
                return True
            if time.monotonic() > until:
                return False
            time.sleep(_GROUP_SECONDS / 10)

    def _pending(self) -> int | None:
        try:
            with open(f"/proc/{self.pid}/status", "rb") as file:  # noqa: PTH123 - no path is meant
                for line in file:
                    if line.startswith(b"ShdPnd:"):
                        return int(line.split()[1], 16)
        except OSError:
            return None
        return None


def _serve(supervisor: int, commands: int, answers: int, argv: Sequence[str]) -> NoReturn:
    """The witness's side."""
    try:
        look_like(os.path.basename(argv[0]) if argv else WITNESS_NAME, (WITNESS_NAME, *argv))  # noqa: PTH119
        os.closerange(0, min(commands, answers))
        os.closerange(min(commands, answers) + 1, max(commands, answers))
        os.closerange(max(commands, answers) + 1, 65_536)
        _answer(supervisor, commands, answers)
    finally:
        os._exit(0)


def _answer(supervisor: int, commands: int, answers: int) -> None:
    watched = 0
    poll = select.poll()
    poll.register(commands, select.POLLIN)
    while True:
        if watched and not poll.poll(_LOOK_SECONDS * 1000):
            if _state(watched) not in _STOPPED:
                os.kill(supervisor, signal.SIGCONT)
                watched = 0
            continue
        # A command is short enough to be written and read whole.
        said = os.read(commands, 4096)
        if not said:
            return
        for command in said.splitlines():
            name, *numbers = command.split()
            if name == _WATCH:
                watched = int(numbers[0])
            else:
                watched = 0
                while signal.sigtimedwait([int(each) for each in numbers], 0) is not None:
                    pass
                os.write(answers, _DONE)


def _state(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123
            text = file.read()
    except OSError:
        return ""
    return chr(text[text.rindex(b")") + 2])
