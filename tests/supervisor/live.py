"""A command that is watched and talked to while it runs, on pipes or on a terminal of its own."""

from __future__ import annotations

import contextlib
import fcntl
import os
import platform
import pty
import re
import select
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tests.world import World

PATIENCE = 30.0  # seconds; only a broken program needs them all


class Live:
    """A running command, whose output is waited for."""

    def __init__(
        self,
        world: World,
        *command: str,
        terminal: bool = False,
        environment: Mapping[str, str] | None = None,
        before_exec: Callable[[], None] | None = None,
    ) -> None:
        self._seen = b""
        self._master = -1
        slave = -1
        if terminal:
            self._master, slave = pty.openpty()

        def prepare() -> None:
            if terminal:
                take_terminal()
            if before_exec is not None:
                before_exec()

        self.process: subprocess.Popen[bytes] = subprocess.Popen(
            command,
            cwd=world.directory,
            env=world.environment(environment),
            start_new_session=True,
            restore_signals=before_exec is None,
            preexec_fn=prepare,  # noqa: PLW1509 - no test has threads
            stdin=slave if terminal else subprocess.PIPE,
            stdout=slave if terminal else subprocess.PIPE,
            stderr=slave if terminal else subprocess.STDOUT,
        )
        if terminal:
            os.close(slave)
            self._output = self._master
        else:
            assert self.process.stdout is not None
            self._output = self.process.stdout.fileno()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(PATIENCE)
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()
        if self._master >= 0:
            os.close(self._master)

    @property
    def pid(self) -> int:
        return self.process.pid

    def wait_for(self, pattern: str) -> re.Match[str]:
        """Read on until the output holds `pattern`; what follows it is kept for the next time."""
        until = time.monotonic() + PATIENCE
        while True:
            text = self._seen.decode(errors="replace")
            found = re.search(pattern, text)
            if found is not None:
                self._seen = text[found.end() :].encode()
                return found
            if not self._read(until):
                raise AssertionError(f"no {pattern!r} in {text!r}")

    def rest(self) -> str:
        """Everything until the output ends."""
        until = time.monotonic() + PATIENCE
        while self._read(until):
            pass
        return self._seen.decode(errors="replace")

    def send(self, text: str) -> None:
        """Write to its input, or type on its terminal."""
        data = text.encode()
        if self._master >= 0:
            os.write(self._master, data)
        else:
            assert self.process.stdin is not None
            self.process.stdin.write(data)
            self.process.stdin.flush()

    def kill(self, number: int) -> None:
        """Send the command itself, and nobody else, a signal."""
        self.process.send_signal(number)

    def ended(self) -> int:
        """Wait for its end: the exit status, or minus a signal."""
        return self.process.wait(PATIENCE)

    def _read(self, until: float) -> bool:
        ready, _, _ = select.select([self._output], [], [], max(0.0, until - time.monotonic()))
        if not ready:
            raise AssertionError(f"nothing more came in {PATIENCE} s after {self._seen!r}")
        try:
            data = os.read(self._output, 65_536)
        except OSError:  # the terminal's other side was closed
            data = b""
        self._seen += data
        return bool(data)


def take_terminal() -> None:
    """In a child: make its standard input its controlling terminal."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def covsup(world: World, *words: str, options: Sequence[str] = ()) -> tuple[str, ...]:
    """The command line of `covsup run` for a target."""
    return (world.python, "-m", "covsup", "run", *options, "--", *words)


def beside(world: World, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a command of covsup while another program of the world goes on."""
    return subprocess.run(
        (world.python, "-m", "covsup", *words),
        cwd=world.directory,
        env=world.environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


_SIGTIMEDWAIT = {"x86_64": "128", "aarch64": "137"}
"""The number of rt_sigtimedwait, as /proc says it."""

UNTIL_OBSERVED = """\
import glob, os, time
me = f'"pid":{os.getpid()},'
def is_observed():
    return any(me in line and '"python":true' in line
               for path in glob.glob(".covsup/*/observed.jsonl~") for line in open(path))
while not is_observed():
    time.sleep(0.01)
"""
"""A program that goes on when the supervisor has recorded that it is a Python.

It knows the session by its place alone, so it may run without any variable of covsup's.
"""


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Wait for something outside of our reach; it has PATIENCE."""
    until = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < until, f"waited in vain until {what}"
        time.sleep(0.01)


def is_pending(pid: int, number: signal.Signals) -> bool:
    """Whether a process has a signal that it has not taken yet (needs /proc)."""
    status = Path(f"/proc/{pid}/status").read_text()
    masks = re.findall(r"^S(?:ig|hd)Pnd:\s*(\w+)$", status, re.MULTILINE)
    return any(int(mask, 16) >> (number - 1) & 1 for mask in masks)


def has_dealt_with(pid: int, number: signal.Signals) -> bool:
    """Whether a supervisor has taken a signal, and sleeps until the next comes."""
    if is_pending(pid, number):
        return False  # nor does it sleep, though /proc may say so until it runs
    try:
        call = Path(f"/proc/{pid}/syscall").read_text(encoding="ascii").split()[0]
        waits = _SIGTIMEDWAIT[platform.machine()]
    except (OSError, KeyError):
        # A kernel that does not tell, or another machine: long enough, if nothing else runs.
        time.sleep(0.05)
        return True
    return call == waits


def state(pid: int) -> str:
    """A process's state as in ps; "" if it is gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
        return stat.rpartition(")")[2].split()[0]
    except OSError:
        return ""


on_linux = sys.platform == "linux"
