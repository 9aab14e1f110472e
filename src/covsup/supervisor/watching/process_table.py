"""The process table: who is whose child, and what a process is.

On Linux /proc is read directly: a look costs a listing and one small file per *new* process, so it
can be taken twenty times a second on a machine with thousands of processes. Elsewhere psutil does.
"""

from __future__ import annotations

import functools
import os
import sys
import time

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
_CARRIER: Final = b"/_carrier."  # is in programs that are no Python, too


class Stat(NamedTuple):
    """One process as the table shows it."""

    pid: int
    ppid: int
    state: str  # a letter as in ps; "" = unknown
    create_time: float  # seconds since 1970
    memory: tuple[str, ...]  # changes when the process execs, and is the same after a fork
    exit_code: int | None  # raw wait status of a zombie, where we may see it
    boottime_ns: int = 0  # when it was made, since boot; 0 = unknown


class Program(NamedTuple):
    """What a process runs."""

    argv: tuple[str, ...]
    executable: str
    session: str | None  # COVSUP_SESSION as it was started with; None = not there, or unknown
    environment_known: bool
    uid: int | None = None  # the effective one; None = unknown
    cwd: str = ""  # its working directory; "" = unknown
    search_path: str | None = None  # its PATH; None = not there, or unknown


if TYPE_CHECKING:

    class Table(Protocol):
        """A process table."""

        def pids(self) -> set[int]:
            """Every process there is."""

        def stat(self, pid: int) -> Stat | None:
            """One process, or None if it is gone."""

        def program(self, pid: int) -> Program | None:
            """What it runs, or None if it is gone."""

        def maps_python(self, pid: int) -> bool:
            """Whether something is mapped into it that only a Python has."""

        def inner_pid(self, pid: int) -> tuple[str, int]:
            """The pid namespace that it is in, and its pid there; "" and 0 where that is our own."""

        def sees(self, pid: int, path: str) -> bool | None:
            """Whether what is at `path` here is there for it, too; None = unknown."""


class LinuxTable:
    """/proc."""

    def pids(self) -> set[int]:
        """Every process there is."""
        return {int(name) for name in os.listdir("/proc") if name.isdigit()}  # noqa: PTH208 - speed

    def stat(self, pid: int) -> Stat | None:
        """One process, or None if it is gone."""
        text = _contents(f"/proc/{pid}/stat")
        if not text:
            return None
        # The name in parentheses may itself hold parentheses and spaces.
        name, _, rest = text.rpartition(b")")
        fields = rest.decode("ascii").split()
        state = fields[0]
        # startcode, startstack, start_data, start_brk, arg_start, env_start: zero where we may not
        # look into the process.
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
        """What it runs, or None if it is gone."""
        command = _contents(f"/proc/{pid}/cmdline")
        if command is None:
            return None
        try:
            executable = os.readlink(f"/proc/{pid}/exe")  # noqa: PTH115 - no path is meant
        except OSError:
            # Another user's process, a zombie or a kernel thread.
            executable = ""
        environment = _contents(f"/proc/{pid}/environ")
        if command and environment == b"":
            # In an exec the command line is there a moment before the environment.
            time.sleep(0.001)
            environment = _contents(f"/proc/{pid}/environ")
        try:
            cwd = os.readlink(f"/proc/{pid}/cwd")  # noqa: PTH115 - as above
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
        """Whether a Python library is mapped into it, or an extension, where that is static."""
        return any(
            library in line and _CARRIER not in line
            for line in (_contents(f"/proc/{pid}/maps") or b"").splitlines()
            for library in _PYTHON_LIBRARIES
        )

    def inner_pid(self, pid: int) -> tuple[str, int]:
        """The pid namespace that it is in, and its pid there; "" and 0 where that is our own."""
        namespace = pid_namespace(pid)
        if namespace in {"", _own_pid_namespace()}:
            return "", 0
        for line in (_contents(f"/proc/{pid}/status") or b"").splitlines():
            if line.startswith(b"NSpid:"):
                return namespace, int(line.split()[-1])
        return "", 0

    def sees(self, pid: int, path: str) -> bool | None:
        """Whether what is at `path` here is there for it, too; None = unknown."""
        try:
            here = os.stat(path)  # noqa: PTH116 - no path is meant
        except OSError:
            return None
        its_root = f"/proc/{pid}/root"
        try:
            there = os.stat(its_root + path)  # noqa: PTH116
        except (FileNotFoundError, NotADirectoryError):
            has_just_ended = not os.path.exists(its_root)  # noqa: PTH110
            return None if has_just_ended else False
        except OSError:
            return None
        return (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino)


class _WithoutProc:
    """What only /proc tells, or tells cheaply."""

    def maps_python(self, pid: int) -> bool:
        """Not known."""
        del pid
        return False

    def inner_pid(self, pid: int) -> tuple[str, int]:
        """Not known, or there are no namespaces."""
        del pid
        return "", 0

    def sees(self, pid: int, path: str) -> bool | None:
        """Not known."""
        del pid, path
        return None


class PortableTable(_WithoutProc):
    """psutil's."""

    def pids(self) -> set[int]:
        """Every process there is."""
        import psutil  # noqa: PLC0415 - not needed on Linux

        return set(psutil.pids())

    def stat(self, pid: int) -> Stat | None:
        """One process, or None if it is gone."""
        import psutil  # noqa: PLC0415

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
        """What it runs, or None if it is gone."""
        import psutil  # noqa: PLC0415

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
    """Linux without /proc: only children of ours are known of."""

    def pids(self) -> set[int]:
        """Nobody is seen."""
        return set()

    def stat(self, pid: int) -> Stat | None:
        """Nothing is known."""
        del pid
        return None

    def program(self, pid: int) -> Program | None:
        """Nothing is known."""
        del pid
        return None


def this_table() -> Table:
    """The table of this machine."""
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
        return os.stat(path).st_uid  # noqa: PTH116 - no path is meant
    except OSError:
        return None


def _contents(path: str) -> bytes | None:
    """A file of /proc, or None where its process is gone or it is not for us."""
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
