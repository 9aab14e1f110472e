"""Sessions without a supervisor: open, list and close them.

`covsup env` opens one for programs that covsup does not start.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
import sys
from pathlib import Path

from covsup.carrier.preload_library import CarrierUnavailable, carrier_library
from covsup.datafile.errors import CovsupError, SessionUnreadable
from covsup.datafile.session import directory as sessions
from covsup.datafile.session.places import find_sessions, tidy_sessions_directory
from covsup.hints import TYPE_CHECKING
from covsup.supervisor.combining.locks import locked
from covsup.supervisor.errors import UsageError
from covsup.supervisor.launch.launch import COVERAGE_STARTUP_VARIABLES
from covsup.supervisor.messages import local_time, print_message, printable
from covsup.supervisor.sessions.create import check_data_file, required_carrier, start_session
from covsup.supervisor.sessions.shells import set_variables, unset_variables
from covsup.supervisor.sessions.waiting_sessions import (
    waiting_sessions,
    warn_if_session_is_gone,
)
from covsup.supervisor.settings.resolved_settings import resolve_data_file, resolve_run_settings

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator
    from typing import Final

    from covsup.supervisor.sessions.waiting_sessions import WaitingSession
    from covsup.supervisor.settings.resolved_settings import RunSettings

_COMMAND: Final = ("covsup", "env")
_SAME_MEASUREMENT: Final = (
    "core", "branch", "concurrency", "context", "dynamic_context", "source_dirs", "source_pkgs",
    "include", "omit", "cover_pylib", "plugins", "plugin_config", "plugin_path", "append",
)  # fmt: skip
"""The settings that have to be equal in two sessions that measure the same."""


def open_and_print(options: argparse.Namespace) -> int:
    """Open a session, or find an open one, and print its variables. Raises CovsupError.

    Gives the exit status, as the other functions here.
    """
    settings = resolve_run_settings(options)
    check_data_file(settings)
    uids = list(_user_ids(options.user or ()))
    carrier = required_carrier() if settings.carrier else None
    for warning in settings.warnings:
        print_message(warning)
    for name in COVERAGE_STARTUP_VARIABLES:
        if os.environ.get(name):
            print_message(
                f"{name} is set, so coverage.py will measure every process, too: unset it"
            )
    # With --reuse, two commands at the same moment get the same session.
    turn = locked(settings.data_file.parent) if options.reuse else contextlib.nullcontext()
    with turn:
        found = _to_reuse(settings) if options.reuse else None
        session = found or start_session(settings, command=_COMMAND, supervisor_pid=0)
    if found is None:
        _mention_current_session(session)
    try:
        sessions.grant_users(session, uids)
        text = set_variables(options.shell, session.path, carrier)
    except CovsupError:
        if found is None:
            session.delete()
            tidy_sessions_directory(session.path.parent)
        raise
    for directory in _not_traversable(session.path) if uids else ():
        print_message(f"other users cannot enter {directory}: run chmod o+x on it, or name a --data-file"
                 " elsewhere")  # fmt: skip
    if options.shell == "docker" and os.geteuid() != 0:
        print_message("root in a container can join only root's sessions: add"
                 f" --user={os.geteuid()} to `docker run`, or open the session as root")  # fmt: skip
    sys.stdout.write(text)
    return 0


def _mention_current_session(opened: sessions.Session) -> None:
    """Print that the environment names another session already."""
    named = os.environ.get("COVSUP_SESSION", "")
    if not named:
        return
    if not Path(named).is_dir():
        warn_if_session_is_gone()
        return
    print_message(
        f"COVSUP_SESSION names session {Path(named).name} already; session {opened.id} is another"
        " one (`covsup env --list` lists the open sessions)"
    )


def _to_reuse(settings: RunSettings) -> sessions.Session | None:
    """The newest open session of the data file that measures the same, or None."""
    for each in reversed(waiting_sessions(settings.data_file)):
        theirs = each.session.settings
        same = all(getattr(theirs, name) == getattr(settings, name) for name in _SAME_MEASUREMENT)
        if theirs.open and same and theirs.data_file == str(settings.data_file):
            return each.session
    return None


def list_sessions(options: argparse.Namespace) -> int:
    """Print the open sessions of a data file. Raises UsageError."""
    warn_if_session_is_gone()
    data_file = resolve_data_file(options.rcfile, options.data_file)
    is_open = [each for each in waiting_sessions(data_file) if each.session.settings.open]
    if options.json:
        sys.stdout.write(f"{json.dumps([_as_json(each) for each in is_open], indent=2)}\n")
        return 0
    for each in is_open:
        settings = each.session.settings
        running = len({*each.measured, *each.programs})
        sys.stdout.write(
            f"{printable(str(each.session.path))}  since {local_time(settings.started_ns)},"
            f" {running} running, {len(each.journals)} to combine\n"
        )
    return 0


def _as_json(each: WaitingSession) -> dict[str, object]:
    settings = each.session.settings
    return {
        "session": settings.session,
        "path": str(each.session.path),
        "data_file": settings.data_file,
        "started_ns": settings.started_ns,
        "branch": settings.branch,
        "source": [*settings.source_dirs, *settings.source_pkgs],
        "running": sorted({*each.measured, *each.programs}),
        "journals": len(each.journals),
    }


def close_sessions(options: argparse.Namespace) -> int:
    """Close the session that COVSUP_SESSION names, or every open one of the data file.

    A session that is closed already is not an error.
    """
    warn_if_session_is_gone()
    data_file = resolve_data_file(options.rcfile, options.data_file)
    named = os.environ.get("COVSUP_SESSION", "")
    for path in [Path(named)] if named else find_sessions(data_file):
        try:
            session = sessions.open_session(path)
        except SessionUnreadable as error:
            if path.exists():
                print_message(str(error))
            continue
        if session.settings.open:
            from covsup.supervisor.combining.shorten_journals import (
                shorten_ended,
            )  # for --close only

            shorten_ended(sessions.close_session(session))
    try:
        carrier: Path | None = carrier_library()
    except CarrierUnavailable:
        carrier = None
    sys.stdout.write(unset_variables(options.shell, carrier))
    return 0


def _user_ids(words: Iterable[str]) -> Iterator[int]:
    """The numbers of users given by name or number. Raises UsageError."""
    import pwd  # for --user only

    for word in (part.strip() for each in words for part in each.split(",") if part.strip()):
        if word.isascii() and word.isdigit():
            yield int(word)
            continue
        try:
            yield pwd.getpwnam(word).pw_uid
        except KeyError as error:
            raise UsageError(f"--user={word}: there is no such user; give its number") from error


def _not_traversable(session: Path) -> list[Path]:
    """The directories above a session that other users may not enter."""
    return [each for each in session.parents if not each.stat().st_mode & stat.S_IXOTH]
