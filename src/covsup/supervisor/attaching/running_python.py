"""A running Python process: what has to be known before it can be attached, or why it cannot be."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from covsup.datafile.provenance.command_lines import is_covsup_command
from covsup.hints import TYPE_CHECKING, NamedTuple
from covsup.supervisor.attaching.python_runtime import runtime_in
from covsup.supervisor.attaching.refused import AttachRefused
from covsup.supervisor.short_commands import describe_process
from covsup.supervisor.watching import linux
from covsup.supervisor.watching.process_table import LinuxTable

if TYPE_CHECKING:
    from typing import Final

    from covsup.supervisor.attaching.python_runtime import PythonRuntime

OLDEST: Final = (3, 14)
"""The first version with sys.remote_exec()."""

_FIELD: Final = re.compile(r"^(\w+):[ \t]*(.*)$", re.MULTILINE)
_LIBRARY: Final = re.compile(r"/libpython\d[\w.]*\.so")
_VERSION_IN_PATH: Final = re.compile(r"python(\d\.\d+)")
_JOURNAL: Final = re.compile(
    r"^(?P<session>/.*?)(?:/uid-\d+)?/\d+-[0-9a-f]{32}\.\d+\.journal~?(?: \(deleted\))?$"
)
_DELETED: Final = " (deleted)"


class RunningPython(NamedTuple):
    """A Python process that runs, of a version that can be attached."""

    pid: int
    inner_pid: int  # in its own pid namespace
    uid: int
    gid: int
    groups: tuple[int, ...]
    argv: tuple[str, ...]
    executable: str  # its path as the process sees it
    hexversion: int
    session: Path | None  # the directory of the session that it is measured in
    memory: tuple[str, ...]  # an exec changes it

    @property
    def version(self) -> tuple[int, int]:
        """As in (3, 14)."""
        return self.hexversion >> 24, self.hexversion >> 16 & 255

    @property
    def name(self) -> str:
        """For messages: the pid and the command line."""
        return describe_process(self.pid, self.argv)


def running_python(pid: int) -> RunningPython:
    """Examine a process. Raises AttachRefused."""
    if not linux.HAS_PROC:
        raise AttachRefused(f"covsup attaches to processes on Linux, not on {sys.platform}")
    if pid == os.getpid():
        raise AttachRefused(f"process {pid} is covsup itself")
    fields, stat, program = _fields(pid), LinuxTable().stat(pid), LinuxTable().program(pid)
    if fields is None or stat is None or program is None:
        raise AttachRefused(f"there is no process {pid}")
    if int(fields["Tgid"]) != pid:
        raise AttachRefused(f"{pid} is a thread of process {fields['Tgid']}: name that one")
    if stat.state in {"Z", "X"}:
        raise AttachRefused(f"process {pid} has ended, and only waits for its parent (a zombie)")
    name = describe_process(pid, program.argv)
    uid = int(fields["Uid"].split()[1])
    if os.geteuid() not in {0, uid}:
        raise AttachRefused(
            f"process {name} belongs to user {uid}: attach as that user, or as root"
        )
    if is_covsup_command(program.argv):
        raise AttachRefused(f"process {name} is a command of covsup's own")
    paths = _mapped_paths(pid, name)
    runtime = _runtime_of(pid, name, paths)
    _check_version(name, runtime, paths)
    assert runtime is not None
    return RunningPython(
        pid=pid,
        inner_pid=int(fields.get("NSpid", str(pid)).split()[-1]),
        uid=uid,
        gid=int(fields["Gid"].split()[1]),
        groups=tuple(int(each) for each in fields.get("Groups", "").split()),
        argv=program.argv,
        executable=program.executable,
        hexversion=runtime.hexversion,
        session=_session_in(paths),
        memory=stat.memory,
    )


def memory_of(pid: int) -> tuple[str, ...] | None:
    """What changes when the process execs another program; None if it has ended."""
    stat = LinuxTable().stat(pid)
    return None if stat is None or stat.state in {"Z", "X"} else stat.memory


def unmeasured_children(pid: int) -> list[int]:
    """The children of a process that run Python and are not measured."""
    table = LinuxTable()
    stats = filter(None, map(table.stat, table.pids()))
    children = sorted(
        each.pid for each in stats if each.ppid == pid and each.state not in {"Z", "X"}
    )
    return [each for each in children if _is_unmeasured_python(each)]


def _is_unmeasured_python(pid: int) -> bool:
    try:
        return running_python(pid).session is None
    except AttachRefused:
        return False  # it has ended, or cannot be attached


def session_of(pid: int) -> Path | None:
    """The session directory of the journal that a process has mapped; None if there is none."""
    try:
        return _session_in(_mapped_paths(pid, str(pid)))
    except AttachRefused:
        return None


def _fields(pid: int) -> dict[str, str] | None:
    try:
        return dict(_FIELD.findall(Path(f"/proc/{pid}/status").read_text(errors="replace")))
    except OSError:
        return None


def _mapped_paths(pid: int, name: str) -> list[str]:
    try:
        maps = Path(f"/proc/{pid}/maps").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        raise AttachRefused(f"there is no process {pid}") from None
    except OSError as error:
        raise _not_examined(name, error) from error
    paths = (line.split(None, 5)[5:] for line in os.fsdecode(maps).splitlines())
    return list(dict.fromkeys(path[0] for path in paths if path and path[0].startswith("/")))


def _session_in(paths: list[str]) -> Path | None:
    for path in paths:
        found = _JOURNAL.match(path)
        if found is not None:
            return Path(found["session"])
    return None


def _not_examined(name: str, error: OSError) -> AttachRefused:
    return AttachRefused(
        f"process {name} cannot be examined: {error.strerror}; it has rights that you lack, or"
        " this container may trace no processes (CAP_SYS_PTRACE)"
    )


def _runtime_of(pid: int, name: str, paths: list[str]) -> PythonRuntime | None:
    """The Python in the program of a process, or in a library that it has loaded."""
    libraries = [path for path in paths if _LIBRARY.search(path)]
    for place in (
        Path(f"/proc/{pid}/exe"),
        *(Path(f"/proc/{pid}/root{path.removesuffix(_DELETED)}") for path in libraries),
    ):
        try:
            runtime = runtime_in(place)
        except PermissionError as error:
            raise _not_examined(name, error) from error
        except OSError:
            continue  # the library was deleted, or the process has ended
        if runtime is not None:
            return runtime
    return None


def _check_version(name: str, runtime: PythonRuntime | None, paths: list[str]) -> None:
    older = next((found[1] for path in paths if (found := _VERSION_IN_PATH.search(path))), "")
    if runtime is None and not older:
        raise AttachRefused(f"process {name} is not a Python")
    if runtime is not None and runtime.free_threaded:
        raise AttachRefused(
            f"process {name} runs a free-threaded Python (PEP 703), which covsup does not measure"
        )
    hexversion = 0 if runtime is None else runtime.hexversion
    if (hexversion >> 24, hexversion >> 16 & 255) >= OLDEST:
        return
    if hexversion:
        older = f"{hexversion >> 24}.{hexversion >> 16 & 255}"
    raise AttachRefused(
        f"process {name} runs Python {older or 'older than 3.13'}, and only 3.14 and later can be"
        " attached (PEP 768): start it with `covsup run`"
    )
