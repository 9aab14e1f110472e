"""Open a session: for the target of `covsup run`, or for whoever starts Pythons.

The settings go into the session directory and nothing but its path into an environment, so that
whatever hands that one variable on hands everything on.
"""

from __future__ import annotations

import os
import time

from covsup.carrier.library import CarrierUnavailable, carrier_library
from covsup.datafile.session.directory import create_session
from covsup.datafile.session.settings import Settings
from covsup.hints import TYPE_CHECKING
from covsup.supervisor.errors import UsageError
from covsup.supervisor.sessions.reported_sessions import collect_reported_sessions
from covsup.supervisor.watching import linux

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Final

    from covsup.datafile.session.directory import Session
    from covsup.supervisor.settings.run_settings import RunSettings

_SQLITE: Final = b"SQLite format 3\0"


def required_carrier() -> Path:
    """The carrier's library. Raises UsageError where there is none."""
    try:
        return carrier_library()
    except CarrierUnavailable as error:
        raise UsageError(f"--carrier {error}") from error


def check_data_file(settings: RunSettings) -> None:
    """Refuse early what could only fail at the end, when all has run."""
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
        raise UsageError(f"the data file {path} is not a file")
    try:
        with path.open("rb") as file:
            head = file.read(len(_SQLITE))
    except OSError as error:
        raise UsageError(f"cannot read the data file {path}: {error.strerror}") from error
    if head and head != _SQLITE:
        raise UsageError(f"{path} is no coverage data file and is left alone; name another one")


def open_session(
    settings: RunSettings, *, command: tuple[str, ...], supervisor_pid: int, within: str = ""
) -> Session:
    """Make the session directory; without a supervisor the session is open to all.

    `within` is the id of the session around it.
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
            cwd=os.getcwd(),  # noqa: PTH109 - a plain string
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
    """The time since boot in nanoseconds, as Linux tells when a process started; elsewhere 0."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return 0 if clock is None else time.clock_gettime_ns(clock)
