"""Reports for the pytest that the supervisor runs, while it still runs.

pytest asks through the session directory: a request, and a FIFO for the answer. The supervisor has
loaded what reports need by then, while pytest was starting, so a fork of it answers. A process of its
own answers any other pytest (`--answer-pytest`).
"""

from __future__ import annotations

import json
import os
from contextlib import suppress

from covsup.hints import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Final, NoReturn

REPORTER_FILE: Final = "answers-pytest"
"""A file of the session directory: the pid of the supervisor that answers requests."""


class Reporter:
    """Answers the requests of one target."""

    def __init__(self, session: Path, target: int) -> None:
        """`target` is the pytest's pid, if it is one."""
        self._request = f"{session}/pytest-{target}.request"
        self._answer = f"{session}/pytest-{target}.answer"

    def is_asked(self) -> bool:
        """Whether there is a request."""
        return os.path.exists(self._request)  # noqa: PTH110 - asked often

    def answer(self) -> int:
        """Answer the request; gives the pid of the fork that does, or 0 where there is none."""
        try:
            with open(self._request, encoding="utf-8") as file:  # noqa: PTH123 - asked often
                request = file.read()
            os.unlink(self._request)  # noqa: PTH108 - as above
            writing = os.open(self._answer, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return 0  # there is none, or pytest waits no longer
        try:
            pid = os.fork()
        except OSError:
            pid = -1  # pytest finds an empty answer, and asks another process
        if pid == 0:
            _answer(request, writing)
        os.close(writing)
        return max(pid, 0)


def announce_reporter(session: Path) -> None:
    """Let the target know that this process answers."""
    with suppress(OSError):  # a process of its own answers then
        (session / REPORTER_FILE).write_text(str(os.getpid()), encoding="ascii")


def _answer(text: str, writing: int) -> NoReturn:
    """In the fork: answer, and end."""
    try:
        null = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(null, descriptor)
        try:
            answer = _report(text)
        except Exception as error:  # noqa: BLE001 - pytest says it
            answer = json.dumps({"error": f"{type(error).__name__}: {error}"})
        os.set_blocking(writing, True)
        data = answer.encode()
        while data:
            data = data[os.write(writing, data) :]
    finally:
        os._exit(0)


def _report(text: str) -> str:
    from coverage.files import set_relative_directory  # noqa: PLC0415 - slow, and loaded already

    from covsup.supervisor.combining.pytest_answer import answer_request  # noqa: PLC0415 - as above

    request = json.loads(text)
    os.chdir(request["directory"])
    set_relative_directory()
    return json.dumps(answer_request(request))
