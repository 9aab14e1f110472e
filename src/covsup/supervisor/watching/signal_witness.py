"""The signal witness: a second process in the supervisor's process group, which sleeps.

It shows what the supervisor cannot know alone. A signal that the supervisor received was sent to
the whole group (Ctrl-C, `kill -- -PGID`) if it is pending in the witness, too. Then the target has
it and must not get it again. And while the supervisor is stopped together with the target, the
witness sees that the target continues, and continues the supervisor.

It is forked from the supervisor with every signal blocked, and ends when the supervisor does. It
has the target's name, and its command line is the target's behind `[sentry]`: a `pkill` that
matches the target matches it, too, and does not match it only because it is a fork of covsup.
"""

from __future__ import annotations

import os
import select
import signal
import time
from pathlib import Path

from covsup.datafile.provenance.command_lines import WITNESS_NAME
from covsup.hints import TYPE_CHECKING
from covsup.supervisor.watching.linux import HAS_PROC, look_like

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Final, NoReturn

_DISCARD: Final = b"discard"
_WAKE: Final = b"wake"
_DONE: Final = b"."
_STOPPED: Final = frozenset("Tt")
_POLL_SECONDS: Final = 0.05
_GROUP_SECONDS: Final = 0.005
"""The kernel signals all members of a group, one after the other, in less than this."""

_ANSWER_SECONDS: Final = 0.5
"""The supervisor waits no longer for an answer: the witness may be stopped."""


class SignalWitness:
    """The supervisor's side of the witness."""

    def __init__(self, argv: Sequence[str] = ()) -> None:
        """Fork the witness for a target with this command line. The caller has blocked every
        signal.

        Raises OSError.
        """
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
            # It was killed, and reaped together with orphans.
            return

    def was_sent_to_group(self, number: int) -> bool | None:
        """Whether a signal that was just received was sent to the whole group; None = unknown."""
        if not HAS_PROC:
            return None
        grouped = self._has_got(number)
        if grouped:
            # Only this one: other signals that are pending there show where our next ones come
            # from.
            self.discard_pending(number)
            while number in signal.sigpending() and self._has_got(number) is False:
                # It was sent again before the witness discarded the first. In the witness the two
                # are one pending signal, as in any process that has not handled the first yet. So
                # the second is dropped here, too.
                signal.sigwait({number})
        return grouped

    def wake_when_continued(self, target: int) -> None:
        """Continue the supervisor, which is about to stop, when the target continues or ends."""
        self._command(b"%b %d\n" % (_WAKE, target))

    def stop_waking(self, stopped_by: int) -> None:
        """The supervisor runs again: discard the signals by which it was stopped and continued."""
        self.discard_pending(stopped_by, signal.SIGCONT)

    def discard_pending(self, *numbers: int) -> None:
        """Discard signals that are pending in the witness: they show nothing about later ones."""
        if self._command(b"%b %b\n" % (_DISCARD, b" ".join(b"%d" % each for each in numbers))):
            poll = select.poll()
            poll.register(self._answers, select.POLLIN)
            if poll.poll(_ANSWER_SECONDS * 1000):
                os.read(self._answers, 1)

    def _command(self, command: bytes) -> bool:
        try:
            os.write(self._commands, command)
        except OSError:
            # It was killed. From now on a signal's si_code decides whether it went to the group.
            return False
        return True

    def _has_got(self, number: int) -> bool | None:
        """Whether a signal is pending in the witness, now or in a moment; None = unknown."""
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
            with Path(f"/proc/{self.pid}/status").open("rb") as file:
                for line in file:
                    if line.startswith(b"ShdPnd:"):
                        return int(line.split()[1], 16)
        except OSError:
            return None
        return None


def _serve(supervisor: int, commands: int, answers: int, argv: Sequence[str]) -> NoReturn:
    """The witness's side: answer commands until the supervisor closes the pipe."""
    try:
        look_like(argv[0].rpartition("/")[2] if argv else WITNESS_NAME, (WITNESS_NAME, *argv))
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
        if watched and not poll.poll(_POLL_SECONDS * 1000):
            if _state(watched) not in _STOPPED:
                os.kill(supervisor, signal.SIGCONT)
                watched = 0
            continue
        # A command is shorter than PIPE_BUF, so it is written and read as a whole.
        text = os.read(commands, 4096)
        if not text:
            return
        for command in text.splitlines():
            name, *numbers = command.split()
            if name == _WAKE:
                watched = int(numbers[0])
            else:
                watched = 0
                while signal.sigtimedwait([int(each) for each in numbers], 0) is not None:
                    pass
                os.write(answers, _DONE)


def _state(pid: int) -> str:
    try:
        text = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return ""
    return chr(text[text.rindex(b")") + 2])
