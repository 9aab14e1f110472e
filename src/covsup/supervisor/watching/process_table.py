"""The process table: each process, its parent, and the program that it runs.

On Linux it is read from /proc directly. A scan costs a listing, and one small file for each *new*
process, so it can run twenty times a second on a machine with thousands of processes. On other
systems psutil does it.
"""

from __future__ import annotations

import functools
import os
import sys
import time
from pathlib import Path

from covsup.hints import TYPE_CHECKING, NamedTuple
from covsup.supervisor.watching.linux import HAS_PROC, pid_namespace

if TYPE_CHECKING:
    from typing import Final, Protocol

_TICKS: Final = os.sysconf("SC_CLK_TCK")
_MOST_OF_A_FILE: Final = 1 << 20
_PYTHON_LIBRARIES: Final = (
    b"/libpython3",
    b".cpython-3",
    b"/libpypy3",
    b".pypy3",
    b"/libpythonvm",  # GraalPy
)
_CARRIER: Final = b"/_carrier."  # has `.cpython-3` in its name, and is mapped into any program


class Stat(NamedTuple):
    """One process, as the table shows it."""

    pid: int
    ppid: int
    state: str  # a letter as in ps; "" = unknown
    create_time: float  # seconds since 1970
    memory: tuple[str, ...]  # an exec changes it, and a fork does not
    exit_code: int | None  # raw wait status of a zombie, if readable
    boottime_ns: int = 0  # its creation, since boot; 0 = unknown


class Program(NamedTuple):
    """The program that a process runs."""

    argv: tuple[str, ...]
    executable: str
    session: str | None  # COVSUP_SESSION when it started; None = not set, or unknown
    environment_known: bool
    uid: int | None = None  # the effective one; None = unknown
    cwd: str = ""  # "" = unknown
    search_path: str | None = None  # PATH when it started; None = not set, or unknown


if TYPE_CHECKING:

    class Table(Protocol):
        """A process table."""

        def pids(self) -> set[int]:
            """The pids of all processes."""

        def stat(self, pid: int) -> Stat | None:
            """One process; None if it has ended and was waited for."""

        def program(self, pid: int) -> Program | None:
            """The program of a process; None if it has ended and was waited for."""

        def maps_python(self, pid: int) -> bool:
            """Whether a Python library or extension is mapped into a process."""

        def inner_pid(self, pid: int) -> tuple[str, int]:
            """A process's pid namespace and its pid in there; "" and 0 if that is our namespace."""

        def sees(self, pid: int, path: str) -> bool | None:
            """Whether a process sees the same file at `path` as we do; None = unknown."""


class LinuxTable:
    """The process table in /proc."""

    def pids(self) -> set[int]:
        """The pids of all processes."""
        return {int(name) for name in os.listdir("/proc") if name.isdigit()}  # speed

    def stat(self, pid: int) -> Stat | None:
        """One process; None if it has ended and was waited for."""
        text = _contents(f"/proc/{pid}/stat")
        if not text:
            return None
        # The name in parentheses may itself hold parentheses and spaces.
        name, _, rest = text.rpartition(b")")
        fields = rest.decode("ascii").split()
        state = fields[0]
        # startcode, startstack, start_data, start_brk, arg_start, env_start. They are zero if we
        # may not ptrace the process.
        memory = tuple(fields[index] for index in (23, 25, 42, 44, 45, 47))
        return Stat(
            pid=pid,
            ppid=int(fields[1]),
            state=state,
            create_time=_boot_time() + int(fields[19]) / _TICKS,
            memory=memory if fields[25] != "0" else (name.decode("ascii", "replace"),),
            exit_code=int(fields[49]) if state == "Z" else None,
            boottime_ns=int(fields[19]) * (1_000_000_000 // _TICKS),
        )

    def program(self, pid: int) -> Program | None:
        """The program of a process; None if it has ended and was waited for."""
        command = _contents(f"/proc/{pid}/cmdline")
        if command is None:
            return None
        try:
            executable = str(Path(f"/proc/{pid}/exe").readlink())
        except OSError:
            # It is another user's process, a zombie or a kernel thread.
            executable = ""
        environment = _contents(f"/proc/{pid}/environ")
        if command and environment == b"":
            # During an exec the command line appears a moment before the environment.
            time.sleep(0.001)
            environment = _contents(f"/proc/{pid}/environ")
        try:
            cwd = str(Path(f"/proc/{pid}/cwd").readlink())
        except OSError:
            cwd = ""
        session = search_path = None
        for entry in (environment or b"").split(b"\0"):
            if entry.startswith(b"COVSUP_SESSION="):
                session = os.fsdecode(entry.partition(b"=")[2])
            elif entry.startswith(b"PATH="):
                search_path = os.fsdecode(entry.partition(b"=")[2])
        return Program(
            argv=tuple(os.fsdecode(word) for word in command.removesuffix(b"\0").split(b"\0"))
            if command
            else (),
            executable=executable,
            session=session,
            environment_known=environment is not None and bool(command),
            uid=_owner(f"/proc/{pid}"),
            cwd=cwd,
            search_path=search_path,
        )

    def maps_python(self, pid: int) -> bool:
        """Whether a Python library is mapped into a process, or an extension of a static Python."""
        return any(
            library in line and _CARRIER not in line
            for line in (_contents(f"/proc/{pid}/maps") or b"").splitlines()
            for library in _PYTHON_LIBRARIES
        )

    def inner_pid(self, pid: int) -> tuple[str, int]:
        """A process's pid namespace and its pid in there; "" and 0 if that is our namespace."""
        namespace = pid_namespace(pid)
        if namespace in {"", _own_pid_namespace()}:
            return "", 0
        for line in (_contents(f"/proc/{pid}/status") or b"").splitlines():
            if line.startswith(b"NSpid:"):
                return namespace, int(line.split()[-1])
        return "", 0

    def sees(self, pid: int, path: str) -> bool | None:
        """Whether a process sees the same file at `path` as we do; None = unknown."""
        try:
            here = Path(path).stat()
        except OSError:
            return None
        its_root = Path(f"/proc/{pid}/root")
        try:
            there = Path(f"{its_root}{path}").stat()
        except (FileNotFoundError, NotADirectoryError):
            # Path.exists() would raise a PermissionError.
            has_just_ended = not os.path.exists(its_root)  # as said
            return None if has_just_ended else False
        except OSError:
            return None
        return (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino)


class _WithoutProc:
    """A table without what only /proc shows, or shows cheaply."""

    def maps_python(self, pid: int) -> bool:
        """Unknown."""
        del pid
        return False

    def inner_pid(self, pid: int) -> tuple[str, int]:
        """Unknown, or there are no namespaces."""
        del pid
        return "", 0

    def sees(self, pid: int, path: str) -> bool | None:
        """Unknown."""
        del pid, path
        return None


class PortableTable(_WithoutProc):
    """The process table that psutil gives."""

    def __init__(self) -> None:
        """Import psutil."""
        import psutil  # slow to import; not on Linux

        self._psutil = psutil

    def pids(self) -> set[int]:
        """The pids of all processes."""
        return set(self._psutil.pids())

    def stat(self, pid: int) -> Stat | None:
        """One process; None if it has ended and was waited for."""
        psutil = self._psutil
        try:
            process = psutil.Process(pid)
            with process.oneshot():
                zombie = process.status() == psutil.STATUS_ZOMBIE
                return Stat(
                    pid=pid,
                    ppid=process.ppid(),
                    state="Z" if zombie else "",
                    create_time=process.create_time(),
                    memory=(str(pid), process.name()),
                    exit_code=None,
                )
        except psutil.Error:
            return None

    def program(self, pid: int) -> Program | None:
        """The program of a process; None if it has ended and was waited for."""
        psutil = self._psutil
        try:
            process = psutil.Process(pid)
            argv, executable = tuple(process.cmdline()), process.exe()
        except psutil.AccessDenied:
            return Program(argv=(), executable="", session=None, environment_known=False)
        except psutil.Error:
            return None
        try:
            environment = process.environ()
        except psutil.Error:
            environment = {}
        return Program(
            argv=argv,
            executable=executable,
            session=environment.get("COVSUP_SESSION"),
            environment_known=bool(environment),
        )


class NoTable(_WithoutProc):
    """Linux without /proc: the supervisor knows only its own children."""

    def pids(self) -> set[int]:
        """None are visible."""
        return set()

    def stat(self, pid: int) -> Stat | None:
        """Unknown."""
        del pid
        return None

    def program(self, pid: int) -> Program | None:
        """Unknown."""
        del pid
        return None


def this_table() -> Table:
    """The process table of this machine."""
    if HAS_PROC:
        return LinuxTable()
    return NoTable() if sys.platform == "linux" else PortableTable()


@functools.cache
def _boot_time() -> float:
    for line in (_contents("/proc/stat") or b"").splitlines():
        if line.startswith(b"btime "):
            return float(line.split()[1])
    return 0.0


@functools.cache
def _own_pid_namespace() -> str:
    return pid_namespace("self")


def _owner(path: str) -> int | None:
    try:
        return Path(path).stat().st_uid
    except OSError:
        return None


def _contents(path: str) -> bytes | None:
    """The contents of a file in /proc; None if its process has ended or we may not read it."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        parts = []
        while part := os.read(descriptor, _MOST_OF_A_FILE):
            parts.append(part)
        return b"".join(parts)
    except OSError:
        return None
    finally:
        os.close(descriptor)
