"""Have a process execute a file, by sys.remote_exec() of a Python of the same version."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from covsup.datafile.provenance.command_lines import PROBE_MARK, is_python
from covsup.datafile.session.directory import is_writable_by_others
from covsup.hints import TYPE_CHECKING
from covsup.supervisor.attaching.refused import AttachRefused
from covsup.supervisor.attaching.running_python import memory_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Final

    from covsup.supervisor.attaching.running_python import RunningPython

_SECONDS: Final = 60.0
_PTRACE_SCOPE: Final = Path("/proc/sys/kernel/yama/ptrace_scope")
_FINAL: Final = 0xF0  # the release level of a hexversion

# The cause of an error is more exact than the error itself.
_CALL: Final = (
    PROBE_MARK
    + """
import sys
try:
    sys.remote_exec(int(sys.argv[1]), sys.argv[2])
    answer = "done"
except BaseException as error:
    while error.__context__ is not None and not isinstance(error, PermissionError):
        if "enabled" in str(error):
            break
        error = error.__context__
    answer = type(error).__name__ + " " + str(error)
sys.stdout.write("covsup-remote " + answer.replace("\\n", " ") + "\\n")
"""
)


def execute_in(process: RunningPython, script: Path | str) -> None:
    """Ask the process to execute a file. It does so when its main thread next executes Python.

    Raises AttachRefused.
    """
    tried = []
    for interpreter in _interpreters(process):
        answer = _answer_of(interpreter, process, script)
        if answer == "done":
            return
        if answer and memory_of(process.pid) is None:
            raise AttachRefused(f"process {process.name} ended before it could be asked")
        if answer:
            raise AttachRefused(reason_of(process.name, answer))
        tried.append(interpreter)
    version = f"{process.version[0]}.{process.version[1]}"
    detail = f" ({', '.join(tried)} does not start)" if tried else ""
    raise AttachRefused(
        f"process {process.name} can be attached only by a Python {version}, and none was"
        f" found{detail}: run covsup with Python {version}, or put python{version} on PATH"
    )


def _interpreters(process: RunningPython) -> Iterator[str]:
    """Programs of the process's version: our own, the process's, one on PATH."""
    if may_call(process.hexversion, sys.hexversion):
        yield sys.executable
    name = f"python{process.version[0]}.{process.version[1]}"
    program = f"/proc/{process.pid}/root{process.executable}"
    if is_python(process.executable) and is_trusted(program, process):
        yield program
    found = shutil.which(name)
    if found is not None:
        yield found


def may_call(theirs: int, ours: int) -> bool:
    """Whether a Python may call another one. A pre-release may call only the very same one."""
    if theirs & _FINAL == ours & _FINAL == _FINAL:
        return theirs >> 16 == ours >> 16
    return theirs == ours


def is_trusted(program: str, process: RunningPython) -> bool:
    """Whether the program of a process may be started: no other user may choose what it executes.

    Python loads its library from beside its program. So root trusts no directory above the program that
    another user may have written, and no process that sees other files than root: a user can mount
    directories in a namespace.
    """
    if os.geteuid() == process.uid and os.geteuid() != 0:
        return True
    try:
        if not _sees_our_files(process.pid):
            return False
        real = Path(os.path.realpath(process.executable))
        return all(_is_roots(place.stat()) for place in (Path(program), real, *real.parents))
    except OSError:
        return False


def _is_roots(found: os.stat_result) -> bool:
    return found.st_uid == 0 and not is_writable_by_others(found)


def _sees_our_files(pid: int) -> bool:
    """Whether a process has the mounts and the root directory that we have."""
    return all(
        os.path.samestat(Path(f"/proc/{pid}/{name}").stat(), Path(f"/proc/self/{name}").stat())
        for name in ("ns/mnt", "root")
    )


def _answer_of(interpreter: str, process: RunningPython, script: Path | str) -> str:
    """What the call answered; "" if this interpreter does not start."""
    environment = {
        name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL") if name in os.environ
    }
    try:
        output = subprocess.run(
            [interpreter, "-I", "-S", "-c", _CALL, str(process.pid), os.fspath(script)],
            env=environment,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            timeout=_SECONDS,
            check=False,
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""
    for line in output.decode("utf-8", "replace").splitlines():
        word, _, answer = line.partition(" ")
        if word == "covsup-remote":
            return answer
    return ""


def reason_of(name: str, answer: str) -> str:
    """Why a call failed, and what to do. `name` describes the process."""
    kind, _, message = answer.partition(" ")
    if "not enabled" in message:
        return (
            f"process {name} does not allow remote debugging (PYTHON_DISABLE_REMOTE_DEBUG,"
            " -X disable-remote-debug, or a Python that was built without it)"
        )
    if kind == "PermissionError" or "ermission" in message or "not permitted" in message:
        scope = _ptrace_scope()
        if scope:
            return (
                f"the system forbids to attach to process {name}: kernel.yama.ptrace_scope is"
                f" {scope}; attach as root, or set it to 0"
            )
        return (
            f"the system forbids to attach to process {name}: it has rights that you lack, or this"
            " container may trace no processes (CAP_SYS_PTRACE)"
        )
    if "find the main thread" in message:
        return (
            f"process {name} cannot be attached: Python does not find its main thread while it has"
            " sub-interpreters; try again when they have ended, or start it with `covsup run`"
        )
    return f"process {name} cannot be attached: {message or kind}"


def _ptrace_scope() -> int:
    try:
        return int(_PTRACE_SCOPE.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return 0
