"""Start the target: an ordinary child in our process group, which inherits what covsup inherited.

Python changes some of what a process inherits: it ignores SIGPIPE and SIGXFSZ, and in the C locale it
sets LC_CTYPE. The target gets what covsup was given, as if the shell had started it. Variables that
name the process which was started (systemd's LISTEN_PID) name the target.

Must never know: sessions, and what is measured.
"""

from __future__ import annotations

import errno
import os
import signal
import struct

from covsup.carrier.preload_library import PRELOAD, with_carrier
from covsup.hints import TYPE_CHECKING
from covsup.supervisor.errors import UsageError
from covsup.supervisor.watching.linux import parent_death_signal, pidfd_id, set_parent_death_signal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Final, NoReturn

    from covsup.supervisor.launch.target import Target

_PYTHON_IGNORES: Final = tuple(
    getattr(signal, name) for name in ("SIGPIPE", "SIGXFSZ") if hasattr(signal, name)
)
COVERAGE_STARTUP_VARIABLES: Final = ("COVERAGE_PROCESS_START", "COVERAGE_PROCESS_CONFIG")
"""With these, coverage.py's own startup file measures each process. Its data files would lie beside
ours, and its reports would combine both, or refuse to if only one has branches."""

_FIRST_LISTENER: Final = 3
"""sd_listen_fds(3): the first descriptor of the sockets for the process in LISTEN_PID."""

_MAX_LISTENERS: Final = 1024
IS_MEASURED: Final = "COVERAGE_RUN"
"""`coverage run` sets it to "true". Programs look at it to know whether they are measured."""

_ERRNO: Final = struct.Struct("=i")


def environment_for_target(session: Path, carrier: Path | None) -> dict[str, str]:
    """The environment that covsup was given, without what starts coverage.py, with the session."""
    environment = dict(os.environ)
    for name in ("COVSUP_PARENT", *COVERAGE_STARTUP_VARIABLES):
        environment.pop(name, None)
    if "LC_CTYPE" in environment and _set_by_python("LC_CTYPE"):
        del environment["LC_CTYPE"]
    environment["COVSUP_SESSION"] = os.fspath(session)
    environment[IS_MEASURED] = "true"
    if carrier is not None:
        environment[PRELOAD] = with_carrier(environment.get(PRELOAD, ""), carrier)
    return environment


def start(target: Target, environment: Mapping[str, str], mask: set[int]) -> int:
    """Start the target with signal mask `mask`, and give its pid once it runs.

    The caller has blocked every signal, so that none is lost meanwhile. Raises UsageError with the
    system's reason if the program cannot be executed.
    """
    dispositions: dict[int, signal.Handlers] = dict.fromkeys(
        _not_inherited_as_ignored(), signal.SIG_DFL
    )
    if signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN:
        # It was inherited. With it the kernel would discard the statuses of our children.
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        dispositions[signal.SIGCHLD] = signal.SIG_IGN
    names = _variables_naming_this_process(environment)
    death_signal = parent_death_signal()
    reading, writing = os.pipe()  # closed by the exec
    try:
        pid = os.fork()
    except OSError as error:
        raise UsageError(f"cannot start a process: {error.strerror}") from error
    if pid == 0:
        if death_signal:
            set_parent_death_signal(death_signal)
        _exec_target(target, _naming_this_process(environment, names), mask, dispositions, writing)
    os.close(writing)
    failed = os.read(reading, _ERRNO.size)
    os.close(reading)
    if failed:
        os.waitpid(pid, 0)
        (number,) = _ERRNO.unpack(failed)
        raise UsageError(f"cannot run {target.path}: {os.strerror(number)}")
    if "LISTEN_PID" in names:
        _close_passed_sockets(environment)
    return pid


def _variables_naming_this_process(environment: Mapping[str, str]) -> dict[str, bool]:
    """The variables that name this process. The value is False for its pid, True for its pidfd's id.

    The program that started covsup means the process of the target: LISTEN_PID and WATCHDOG_PID of
    sd_listen_fds(3) and sd_watchdog_enabled(3), SYSTEMD_EXEC_PID, or a shell's `APP_PID=$$ exec`.
    """
    names = {}
    for name, value in environment.items():
        if name.endswith("_PID") and value == str(os.getpid()):
            names[name] = False
        elif name.endswith("_PIDFDID") and value == pidfd_id(os.getpid()):
            names[name] = True
    return names


def _naming_this_process(
    environment: Mapping[str, str], names: Mapping[str, bool]
) -> Mapping[str, str]:
    """In the child: the environment with these variables naming this process."""
    if not names:
        return environment
    pid = os.getpid()
    mine = {name: pidfd_id(pid) if by_pidfd else str(pid) for name, by_pidfd in names.items()}
    return {**environment, **mine}


def _close_passed_sockets(environment: Mapping[str, str]) -> None:
    """Close our copies of the target's sockets, so that clients are refused once it closes its own."""
    count = environment.get("LISTEN_FDS", "")
    if not (count.isascii() and count.isdigit()):
        return
    for descriptor in range(_FIRST_LISTENER, _FIRST_LISTENER + min(int(count), _MAX_LISTENERS)):
        try:
            # Descriptors that covsup has opened itself are not inheritable.
            if os.get_inheritable(descriptor):
                os.close(descriptor)
        except OSError:
            return  # there are fewer than LISTEN_FDS says


def _exec_target(
    target: Target,
    environment: Mapping[str, str],
    mask: set[int],
    dispositions: Mapping[int, signal.Handlers],
    writing: int,
) -> NoReturn:
    """In the child: exec, or write the errno to the pipe `writing`."""
    number = 0
    try:
        if callable(signal.getsignal(signal.SIGINT)):
            # Otherwise Python's handler could run between unblocking and the exec.
            signal.signal(signal.SIGINT, signal.SIG_DFL)
        for number_of_signal, disposition in dispositions.items():
            signal.signal(number_of_signal, disposition)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        try:
            os.execve(target.path, target.argv, environment)
        except OSError as error:
            if error.errno != errno.ENOEXEC:
                raise
            # A script whose first line names no interpreter: do as every shell does.
            os.execve("/bin/sh", ("sh", target.path, *target.argv[1:]), environment)
    except OSError as error:
        number = error.errno or errno.EINVAL
    except BaseException:  # noqa: BLE001 - nothing may return into the supervisor's code
        number = errno.EINVAL
    os.write(writing, _ERRNO.pack(number))
    os._exit(127)


def _not_inherited_as_ignored() -> list[signal.Signals]:
    """Of the signals that Python ignores, those which covsup did not inherit as ignored.

    Python has overwritten what this process inherited. The parent shows it: a shell that ignores
    SIGPIPE passes that on. A parent that is a Python ignores them all, and resets them in children.
    """
    of_parent = _ignored_by(os.getppid())
    if all(each in of_parent for each in _PYTHON_IGNORES):
        of_parent = set()
    return [each for each in _PYTHON_IGNORES if each not in of_parent]


def _ignored_by(pid: int) -> set[int]:
    try:
        with open(f"/proc/{pid}/status", "rb") as file:
            for line in file:
                if line.startswith(b"SigIgn:"):
                    bits = int(line.split()[1], 16)
                    return {number for number in range(1, 65) if bits >> (number - 1) & 1}
    except OSError:
        # There is no /proc, or the parent has ended: assume the default.
        return set()
    return set()


def _set_by_python(variable: str) -> bool:
    """Whether Python has set a variable since this process started (PEP 538)."""
    try:
        with open("/proc/self/environ", "rb") as file:
            began = file.read().split(b"\0")
    except OSError:
        return False
    return not any(entry.startswith(os.fsencode(variable) + b"=") for entry in began)
