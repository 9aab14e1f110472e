"""`covsup erase`: delete a data file and its sessions."""

from __future__ import annotations

import glob
import os

from covsup.datafile.errors import SessionUnreadable, SessionUntrusted
from covsup.datafile.session.directory import Session, open_session
from covsup.datafile.session.places import find_sessions, tidy_sessions_directory
from covsup.datafile.session.settings import Settings
from covsup.hints import TYPE_CHECKING
from covsup.supervisor.combining.grouping import separate_files
from covsup.supervisor.combining.inputs import belongs_to_data_file
from covsup.supervisor.combining.unseen_processes import unseen_places
from covsup.supervisor.errors import NOT_STORED
from covsup.supervisor.messages import print_message
from covsup.supervisor.sessions.waiting_sessions import warn_if_session_is_gone
from covsup.supervisor.settings.resolved_settings import resolve_data_file
from covsup.supervisor.watching.still_running import ProcessSnapshot, supervisor_runs

if TYPE_CHECKING:
    from pathlib import Path


def erase(rcfile: str | None, data_file: str | None, *, assume_ended: bool) -> int:
    """Delete what the two options name, and give the exit status. Raises UsageError.

    `assume_ended`: processes that cannot be seen from here have ended.
    """
    warn_if_session_is_gone()
    path = resolve_data_file(rcfile, data_file)
    status = 0
    for each in _data_files(path):
        try:
            each.unlink(missing_ok=True)
        except OSError as error:
            print_message(f"cannot delete {each}: {error.strerror}")
            status = NOT_STORED
    sessions = find_sessions(path)
    for session in sessions:
        status = _erase_session(session, path, assume_ended=assume_ended) or status
    for parent in {session.parent for session in sessions}:
        tidy_sessions_directory(parent)
    return status


def _data_files(data_file: Path) -> list[Path]:
    """The data file, coverage.py's parallel ones, and those of sessions that could not join it."""
    parallel = data_file.parent.glob(f"{glob.escape(data_file.name)}.*")
    return [data_file, *(path for path in parallel if path.is_file()), *separate_files(data_file)]


def _erase_session(path: Path, data_file: Path, *, assume_ended: bool) -> int:
    """Delete a session directory, unless it is in use or belongs to another data file."""
    try:
        session = open_session(path)
    except SessionUntrusted as error:
        print_message(str(error))
        return NOT_STORED
    except SessionUnreadable:
        # No command can read it, so nothing is lost with it.
        session = Session(path, Settings(session=path.name), os.geteuid())
    if not belongs_to_data_file(path, data_file):
        return 0
    try:
        journals = session.journals()
        snapshot = ProcessSnapshot([path], journals)
        # Shells have an open session in their environment. They record nothing that would be lost.
        runs = snapshot.any_writer_runs(journals) or (
            not session.settings.open and bool(snapshot.members.get(path))
        )
        if runs or supervisor_runs(session.settings, path):
            print_message(f"session {session.id} still runs, so it is kept")
            return NOT_STORED
        if not assume_ended and (where := unseen_places(path)):
            print_message(
                f"session {session.id} may still run on {where}, which covsup cannot see, so it is"
                " kept (if it has ended: `covsup erase --assume-ended`)"
            )
            return NOT_STORED
        if session.settings.open:
            session.empty()
            print_message(
                f"session {session.id} is empty and stays open: `covsup env --close` ends it"
            )
        else:
            session.delete()
    except OSError as error:
        print_message(f"cannot delete {path}: {error.strerror}")
        return NOT_STORED
    return 0
