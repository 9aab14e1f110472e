"""Create a session: for the target of `covsup run`, or for programs that start Pythons.

The settings go into the session directory, and only its path goes into an environment. So a program
that passes that one variable on passes everything on.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from covsup.carrier.preload_library import CarrierUnavailable, carrier_library
from covsup.datafile.session.directory import create_session
from covsup.datafile.session.settings import Settings
from covsup.hints import TYPE_CHECKING
from covsup.supervisor.errors import UsageError
from covsup.supervisor.sessions.reported_sessions import collect_reported_sessions
from covsup.supervisor.watching import linux

if TYPE_CHECKING:
    from typing import Final

    from covsup.datafile.session.directory import Session
    from covsup.supervisor.settings.resolved_settings import RunSettings

_SQLITE: Final = b"SQLite format 3\0"


def required_carrier() -> Path:
    """The path of the carrier's library. Raises UsageError if there is none."""
    try:
        return carrier_library()
    except CarrierUnavailable as error:
        raise UsageError(f"--carrier {error}") from error


def check_data_file(settings: RunSettings) -> None:
    """Make the data file's directory. Raises UsageError if the data file cannot be written.

    Otherwise that error would come at the end of the run.
    """
    path = settings.data_file
    try:
        path.parent.mkdir(parents=True, exist_ok=True)  # as coverage.py does
    except OSError as error:
        raise UsageError(f"cannot put a data file into {path.parent}: {error.strerror}") from error
    if not os.access(path.parent, os.W_OK | os.X_OK):
        read_only = os.statvfs(path.parent).f_flag & os.ST_RDONLY
        why = "its file system is read-only" if read_only else "permission denied"
        raise UsageError(
            f"cannot put a data file into {path.parent}: {why}; name a --data-file elsewhere"
        )
    if not path.exists():
        return
    if not path.is_file():
        raise UsageError(f"the data file {path} is not a file: name another --data-file")
    try:
        with path.open("rb") as file:
            head = file.read(len(_SQLITE))
    except OSError as error:
        raise UsageError(f"cannot read the data file {path}: {error.strerror}") from error
    if head and head != _SQLITE:
        raise UsageError(
            f"{path} is not a coverage data file and is left as it is; name another --data-file"
        )


def start_session(
    settings: RunSettings, *, command: tuple[str, ...], supervisor_pid: int, within: str = ""
) -> Session:
    """Create the session directory. `within` is the id of the session around it, if any.

    With a `supervisor_pid` of 0 the session is open: other processes may join it at any time.
    """
    collect_reported_sessions(settings.data_file)

    def make(session_id: str) -> Settings:
        return Settings(
            session=session_id,
            core=settings.core,
            branch=settings.branch,
            concurrency=settings.concurrency,
            context=settings.context,
            dynamic_context=settings.dynamic_context,
            source_dirs=settings.source_dirs,
            source_pkgs=settings.source_pkgs,
            include=settings.include,
            omit=settings.omit,
            cover_pylib=settings.cover_pylib,
            plugins=settings.plugins,
            plugin_config=settings.plugin_config,
            plugin_path=settings.plugin_path,
            data_file=os.fspath(settings.data_file),
            rcfile=settings.rcfile,
            append=settings.append,
            within=within,
            open=supervisor_pid == 0,
            cwd=str(Path.cwd()),
            command=command,
            started_ns=time.time_ns(),
            started_boottime_ns=_since_boot_ns(),
            supervisor_pid=supervisor_pid,
            host=os.uname().nodename,
            boot=linux.boot_id(),
            machine=linux.machine_id(),
            namespace=linux.pid_namespace("self"),
            held=supervisor_pid == os.getpid(),
        )

    return create_session(settings.data_file, make)


def _since_boot_ns() -> int:
    """The time since boot in ns, by the clock of a process's start in /proc; 0 outside Linux."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return 0 if clock is None else time.clock_gettime_ns(clock)
