"""The viewer's end of a process that analyses sources."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

from covsup.hints import NamedTuple

if TYPE_CHECKING:
    from typing import Any, Final

_START: Final = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]);"
    " from covsup.views.sources.worker import main; main(json.loads(sys.argv[2]))"
)
_MEANT_FOR_OTHERS: Final = ("COVSUP_", "COVERAGE_PROCESS_", "PYTHON")
"""Variables that would measure the process, or change its Python."""


class WorkerDied(Exception):
    """The process ended before it answered."""


class Job(NamedTuple):
    """What to make of a file."""

    path: str
    highlight: bool = False  # or else: analyse
    plugin: str = ""  # of coverage.py, which traced the file


class WorkerProcess:
    """A process that does one job at a time. One thread uses it; any thread may end it."""

    def __init__(self, config_file: str | bool) -> None:
        """Start it. Raises OSError."""
        environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(_MEANT_FOR_OTHERS)
        }
        write_no_bytecode = ["-B"] if sys.dont_write_bytecode else []
        words = [json.dumps(sys.path), json.dumps(config_file)]
        self._process = subprocess.Popen(
            # -S: no startup file of any package.
            [sys.executable, "-I", "-S", *write_no_bytecode, "-c", _START, *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # the terminal is the viewer's
            env=environment,
        )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def do(self, job: Job) -> dict[str, Any]:
        """Its answer. Raises WorkerDied, with the reason for a message."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(job._asdict()).encode() + b"\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except OSError:
            line = b""
        if not line.endswith(b"\n"):
            status = self._process.wait()
            how = f"signal {-status}" if status < 0 else f"status {status}"
            raise WorkerDied(f"the process that analysed it ended with {how}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def end(self) -> None:
        """End it at once, also while it works."""
        self._process.kill()

    def release(self) -> None:
        """End it and forget it."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):  # what was not written is not needed
                    pipe.close()
