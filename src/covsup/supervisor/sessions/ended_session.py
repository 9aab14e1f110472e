"""Combine and delete one session that was reported, once its processes have ended."""

from __future__ import annotations

from covsup.datafile.database.database import is_data_file, session_ids_in
from covsup.datafile.session.places import tidy_sessions_directory
from covsup.hints import TYPE_CHECKING
from covsup.supervisor.combining.combine import combine
from covsup.supervisor.combining.unseen_processes import unseen_places
from covsup.supervisor.settings.combine_settings import CombineSettings
from covsup.supervisor.watching.still_running import ProcessSnapshot, supervisor_runs

if TYPE_CHECKING:
    from pathlib import Path

    from covsup.datafile.session.directory import Session


def collect_if_ended(session: Session, data_file: Path) -> None:
    """Combine the session into `data_file` and delete it, unless a process of it may still run.

    Raises CovsupError and OSError.
    """
    journals = session.journals()
    snapshot = ProcessSnapshot([session.path], journals)
    if supervisor_runs(session.settings, session.path) or snapshot.any_writer_runs(journals):
        return
    if snapshot.members.get(session.path):
        return
    if is_data_file(data_file) and session.id in session_ids_in(data_file):
        combine([session.path], combine_settings=CombineSettings.of_session(session.settings))
    elif not unseen_places(session.path):
        session.delete()
        tidy_sessions_directory(session.path.parent)
