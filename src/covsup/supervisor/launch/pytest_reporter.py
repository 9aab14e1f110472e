"""Make reports for the pytest that is the target, while it still runs.

pytest asks through the session directory, with a request file and a FIFO for the answer. The
supervisor has imported coverage.py by then, while pytest was starting, so a fork of it answers sooner
than a new process would. A new process answers any other pytest (`--answer-pytest`).
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
"""A file of the session directory. It has the pid of the supervisor that answers requests."""


class Reporter:
    """Answers the requests of one target."""

    def __init__(self, session: Path, target: int) -> None:
        """`target` is the pid of the pytest."""
        self._request = f"{session}/pytest-{target}.request"
        self._answer = f"{session}/pytest-{target}.answer"

    def is_asked(self) -> bool:
        """Whether there is a request."""
        return os.path.exists(self._request)

    def answer(self) -> int:
        """Answer the request in a fork. Gives its pid, or 0 if there is no request, or no fork."""
        try:
            with open(self._request, encoding="utf-8") as file:
                request = file.read()
            os.unlink(self._request)
            writing = os.open(self._answer, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return 0  # there is no request, or pytest does not wait any more
        try:
            pid = os.fork()
        except OSError:
            pid = -1  # pytest reads an empty answer, and starts a process that answers
        if pid == 0:
            _answer(request, writing)
        os.close(writing)
        return max(pid, 0)


def announce_reporter(session: Path) -> None:
    """Write to the session directory that this process answers requests."""
    with suppress(OSError):  # without the file, pytest starts a process that answers
        (session / REPORTER_FILE).write_text(str(os.getpid()), encoding="ascii")


def _answer(text: str, writing: int) -> NoReturn:
    """In the fork: write the answer to the request `text`, and end."""
    try:
        null = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(null, descriptor)
        try:
            answer = _report(text)
        except Exception as error:  # noqa: BLE001 - pytest reports it
            answer = json.dumps({"error": f"{type(error).__name__}: {error}"})
        os.set_blocking(writing, True)
        data = answer.encode()
        while data:
            data = data[os.write(writing, data) :]
    finally:
        os._exit(0)


def _report(text: str) -> str:
    from coverage.files import set_relative_directory  # imported early, by EarlyImports

    from covsup.supervisor.combining.pytest_answer import answer_request

    request = json.loads(text)
    os.chdir(request["directory"])
    set_relative_directory()
    return json.dumps(answer_request(request))
