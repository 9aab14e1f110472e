"""A private world for one test: a directory, real processes, and what a run left behind.

Nothing here knows how covsup works: a run is started as a user would start it
(`python -m covsup run ...`), and is judged by what coverage.py reads from the data file.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import warnings
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from signal import Signals
from typing import TYPE_CHECKING, Any

import coverage
import coverage.exceptions
import psutil

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PR_SET_CHILD_SUBREAPER = 36
# Variables of the tests' own surroundings that would change what a program does.
FOREIGN_VARIABLES = (
    "COVSUP_",
    "COVERAGE_",
    "COV_CORE_",
    "PYTEST_",
    "PYTHON",
    "GEVENT",
    "EVENTLET",
    "COLUMNS",
)


class Hung(AssertionError):
    """The program was still running when its time was up; its output so far is in the message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileReport:
    """What `coverage json` says about one file; a branch is (from line, to line), exits negative."""

    executed_lines: frozenset[int]
    missing_lines: frozenset[int]
    excluded_lines: frozenset[int]
    executed_branches: frozenset[tuple[int, int]]
    missing_branches: frozenset[tuple[int, int]]

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> FileReport:
        return cls(
            executed_lines=frozenset(entry["executed_lines"]),
            missing_lines=frozenset(entry["missing_lines"]),
            excluded_lines=frozenset(entry["excluded_lines"]),
            executed_branches=frozenset(map(tuple, entry.get("executed_branches", ()))),
            missing_branches=frozenset(map(tuple, entry.get("missing_branches", ()))),
        )


@dataclass(kw_only=True)
class Run:
    """One finished command: how it ended, what it printed, what was measured."""

    command: tuple[str, ...]
    directory: Path
    data_file: Path
    status: int | None
    """Exit status, or None if a signal ended it."""
    signal: Signals | None
    stdout: str
    stderr: str
    left: tuple[str, ...] = ()
    """Command lines of the processes that outlived it and were killed."""

    @property
    def ended(self) -> int | Signals:
        """Exit status or signal, whichever it was."""
        if self.signal is not None:
            return self.signal
        assert self.status is not None
        return self.status

    @cached_property
    def data(self) -> coverage.CoverageData:
        """What the data file holds, as coverage.py reads it; empty if there is no data file."""
        data = coverage.CoverageData(basename=str(self.data_file))
        if self.data_file.exists():
            data.read()
        return data

    def _measured(self, name: str) -> str | None:
        path = str((self.directory / name).resolve())
        return path if path in self.data.measured_files() else None

    def lines(self, name: str) -> set[int]:
        """Line numbers that ran, as stored: nothing is normalised to the start of statements."""
        path = self._measured(name)
        return set(self.data.lines(path) or ()) if path else set()

    def arcs(self, name: str) -> set[tuple[int, int]]:
        """Arcs as stored."""
        path = self._measured(name)
        return set(self.data.arcs(path) or ()) if path else set()

    @cached_property
    def report(self) -> dict[str, FileReport]:
        """`coverage json` of the data file: one entry per file, by its resolved path."""
        return json_report(self.data_file, self.directory)

    def file(self, name: str) -> FileReport:
        """`coverage json` of one file; everything is missing if it was never measured."""
        path = (self.directory / name).resolve()
        found = self.report.get(str(path))
        return found if found is not None else unmeasured(path, branch=self.data.has_arcs())

    def __str__(self) -> str:
        left = "".join(f"\nleft running: {command}" for command in self.left)
        return (
            f"$ {' '.join(self.command)}\n"
            f"ended: {self.ended!r}\n"
            f"--- stdout\n{self.stdout[-4000:]}\n--- stderr\n{self.stderr[-4000:]}{left}"
        )


def json_report(data_file: Path, directory: Path) -> dict[str, FileReport]:
    """Run coverage.py's json report in this process, with no settings file of anybody's."""
    if not data_file.exists():
        return {}
    out = data_file.with_name(data_file.name + ".json")
    with contextlib.chdir(directory):
        cov = coverage.Coverage(data_file=str(data_file), config_file=False)
        cov.load()
        if not cov.get_data().measured_files():
            return {}
        with warnings.catch_warnings():
            # A file without a source that can be parsed is no file of the tests' own.
            warnings.simplefilter("ignore", coverage.exceptions.CoverageWarning)
            cov.json_report(outfile=str(out), ignore_errors=True)
    entries = json.loads(out.read_text(encoding="utf-8"))["files"]
    return {
        str((directory / name).resolve()): FileReport.from_json(entry)
        for name, entry in entries.items()
    }


def unmeasured(path: Path, *, branch: bool) -> FileReport:
    """Report a file of which nothing ran."""
    with tempfile.TemporaryDirectory() as nowhere:
        data = coverage.CoverageData(basename=str(Path(nowhere) / "empty"))
        if branch:
            data.add_arcs({str(path): ()})
        else:
            data.add_lines({str(path): ()})
        data.touch_file(str(path))
        data.write()
        return json_report(Path(nowhere) / "empty", path.parent)[str(path)]


def become_subreaper() -> None:
    """Make orphans of the programs under test children of this process, so that none escapes."""
    if not sys.platform.startswith("linux"):
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


def forbid_core_files() -> None:
    """Programs under test die by SIGSEGV and SIGABRT; they must not litter."""
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, hard))


def restore_default_signals() -> None:
    """Undo what nohup and background jobs leave to their children: signals that are ignored."""
    for number, action in (
        (signal.SIGINT, signal.default_int_handler),
        (signal.SIGQUIT, signal.SIG_DFL),
        (signal.SIGHUP, signal.SIG_DFL),
    ):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, action)


class World:
    """A directory of its own in which programs are written and run, plainly or under covsup."""

    def __init__(self, directory: Path, *, python: str = sys.executable) -> None:
        self.directory = directory.resolve()
        self.python = python
        self.data_file = self.directory / ".coverage"
        self._before = {child.pid for child in psutil.Process().children()}

    def write(self, name: str, text: str, *, mode: int | None = None) -> Path:
        """Write a file of the world; missing directories are made."""
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        if mode is not None:
            path.chmod(mode)
        return path

    def environment(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        """Give the environment of the runs: this one's, less what steers Python or coverage."""
        environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(FOREIGN_VARIABLES)
        }
        # HOME keeps settings files of the user's out; the hash seed keeps orders of sets the same.
        environment |= {"PYTHONHASHSEED": "0", "HOME": str(self.directory)}
        # `python` in shell scripts is the one under test.
        environment["PATH"] = f"{Path(self.python).parent}{os.pathsep}{environment['PATH']}"
        return environment | dict(extra or {})

    def covsup_run(
        self,
        *target: str | Path,
        options: Sequence[str] = (),
        branch: bool = True,
        core: str | None = None,
        data_file: Path | None = None,
        environment: Mapping[str, str] | None = None,
        stdin: str = "",
        timeout: float = 40,
    ) -> Run:
        """Run `covsup run OPTIONS -- TARGET` and wait for its end."""
        command = [self.python, "-m", "covsup", "run"]
        if branch:
            command.append("--branch")
        if core is not None:
            command.append(f"--core={core}")
        if data_file is not None:
            command.append(f"--data-file={data_file}")
        command += [*options, "--", *map(str, target)]
        return self.run(
            *command, data_file=data_file, environment=environment, stdin=stdin, timeout=timeout
        )

    def run(
        self,
        *command: str | Path,
        data_file: Path | None = None,
        environment: Mapping[str, str] | None = None,
        stdin: str = "",
        timeout: float = 40,
    ) -> Run:
        """Run any command in the world and wait for its end, not for that of its children.

        Output goes to files, so a daemon that keeps the descriptors open holds nobody up. Whatever
        lives on when the command has ended is killed and named in the result.

        Raises Hung if it takes longer than `timeout` seconds.
        """
        arguments = tuple(map(str, command))
        with contextlib.ExitStack() as stack:
            files = [
                stack.enter_context((self.directory / f".{name}").open("w+", encoding="utf-8"))
                for name in ("stdin", "stdout", "stderr")
            ]
            files[0].write(stdin)
            files[0].seek(0)
            process = subprocess.Popen(
                arguments,
                cwd=self.directory,
                env=self.environment(environment),
                stdin=files[0],
                stdout=files[1],
                stderr=files[2],
                start_new_session=True,
            )
            hung = False
            try:
                process.wait(timeout)
            except subprocess.TimeoutExpired:
                hung = True
                process.kill()
            finally:
                process.wait()
                left = self.kill_what_is_left()
            run = Run(
                command=arguments,
                directory=self.directory,
                data_file=data_file or self.data_file,
                status=process.returncode if process.returncode >= 0 else None,
                signal=signal.Signals(-process.returncode) if process.returncode < 0 else None,
                stdout=_contents(self.directory / ".stdout"),
                stderr=_contents(self.directory / ".stderr"),
                left=tuple(left),
            )
        if hung:
            message = f"still running after {timeout} s\n{run}"
            raise Hung(message)
        return run

    def kill_what_is_left(self) -> list[str]:
        """Kill every process that this world's runs left behind, and give their command lines."""
        killed: list[str] = []
        # The death of each makes its children children of this process, so: until none is left.
        while alive := [
            child for child in psutil.Process().children() if child.pid not in self._before
        ]:
            for child in alive:
                with contextlib.suppress(psutil.NoSuchProcess):
                    if child.status() != psutil.STATUS_ZOMBIE:
                        killed.append(f"{child.pid} {' '.join(child.cmdline())}")
                    child.kill()
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(child.pid, 0)
        return killed


def _contents(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")
