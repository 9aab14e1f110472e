"""Open a session: for the target of `covsup run`, or (`covsup env`) for whoever starts Pythons.

The settings go into the session directory and nothing but its path into an environment, so that
whatever hands that one variable on hands everything on.
"""

from __future__ import annotations

import os
import stat
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from covsup.carrier.preload import NoCarrier, carrier_library
from covsup.datafile import session as sessions
from covsup.datafile.errors import CovsupError
from covsup.datafile.session import Session, Settings, create_session
from covsup.supervisor.errors import UsageError
from covsup.supervisor.finished import tidy_finished
from covsup.supervisor.launch import COVERAGES
from covsup.supervisor.say import complain
from covsup.supervisor.settings import data_file_of, run_settings
from covsup.supervisor.shells import FORMS, put, take_out

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator

    from covsup.supervisor.settings import RunSettings

_SQLITE: Final = b"SQLite format 3\0"


def env(options: argparse.Namespace) -> int:
    """`covsup env`."""
    if options.shell not in FORMS:
        from covsup.supervisor.vocabulary import nearest  # noqa: PLC0415 - for a mistake only

        raise UsageError(
            f"--shell={options.shell} is not known{nearest(options.shell, FORMS)}"
            f" ({', '.join(FORMS)})"
        )
    if options.close:
        return _close(options)
    settings = run_settings(options)
    check_data_file(settings)
    uids = list(_user_ids(options.user or ()))
    carrier = carrier_to_preload() if settings.carrier else None
    for warning in settings.warnings:
        complain(warning)
    for name in COVERAGES:
        if os.environ.get(name):
            complain(f"{name} is set, so coverage.py will measure every process, too: unset it")
    session = open_session(settings, command=("covsup", "env"), supervisor_pid=0)
    try:
        sessions.let_in(session, uids)
        text = put(options.shell, session.path, carrier)
    except CovsupError:
        session.delete()
        sessions.tidy_sessions_directory(session.path.parent)
        raise
    for directory in _closed_to_others(session.path) if uids else ():
        complain(f"other users cannot get through {directory}: let them (chmod o+x), or name a"
                 " --data-file elsewhere")  # fmt: skip
    if options.shell == "docker" and os.geteuid() != 0:
        complain("a container's root takes part in root's sessions alone: give `docker run` also"
                 f" --user={os.geteuid()}, or open the session as root")  # fmt: skip
    sys.stdout.write(text)
    return 0


def carrier_to_preload() -> Path:
    """The carrier's library. Raises UsageError where there is none."""
    try:
        return carrier_library()
    except NoCarrier as error:
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
    settings: RunSettings, *, command: tuple[str, ...], supervisor_pid: int
) -> Session:
    """Make the session directory; without a supervisor the session is open to all."""
    tidy_finished(settings.data_file)

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
            open=supervisor_pid == 0,
            cwd=os.getcwd(),  # noqa: PTH109 - a plain string
            command=command,
            started_ns=time.time_ns(),
            started_boottime_ns=_since_boot_ns(),
            supervisor_pid=supervisor_pid,
            host=os.uname().nodename,
        )

    return create_session(settings.data_file, make)


def _since_boot_ns() -> int:
    """The time since boot in nanoseconds, as Linux tells when a process started; elsewhere 0."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return 0 if clock is None else time.clock_gettime_ns(clock)


def _close(options: argparse.Namespace) -> int:
    """Close what is open; closing it twice is no mistake."""
    data_file = data_file_of(options.rcfile, options.data_file)
    named = os.environ.get("COVSUP_SESSION", "")
    for path in [Path(named)] if named else sessions.find_sessions(data_file):
        try:
            session = sessions.open_session(path)
        except sessions.SessionUnreadable as error:
            if path.exists():
                complain(str(error))
            continue
        if session.settings.open:
            sessions.close_session(session)
    try:
        carrier: Path | None = carrier_library()
    except NoCarrier:
        carrier = None
    sys.stdout.write(take_out(options.shell, carrier))
    return 0


def _user_ids(words: Iterable[str]) -> Iterator[int]:
    """The ids of users given by name or number. Raises UsageError."""
    import pwd  # noqa: PLC0415 - only where somebody else is to take part

    for word in (part.strip() for each in words for part in each.split(",") if part.strip()):
        if word.isascii() and word.isdigit():
            yield int(word)
            continue
        try:
            yield pwd.getpwnam(word).pw_uid
        except KeyError as error:
            raise UsageError(f"--user={word}: there is no such user; give its number") from error


def _closed_to_others(session: Path) -> list[Path]:
    """The directories above a session that not everybody may pass."""
    return [each for each in session.parents if not each.stat().st_mode & stat.S_IXOTH]
