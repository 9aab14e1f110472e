"""Sessions without a supervisor whose report was made while their process went on.

`pytest.main()` measures the process that it is called in: when that has ended, nobody is left to
delete the session. The next command that looks at the data file does.
"""

from __future__ import annotations

from covsup.datafile.errors import CovsupError
from covsup.datafile.session.directory import REPORTED, open_session
from covsup.datafile.session.places import find_sessions, tidy_sessions_directory
from covsup.hints import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Final

    from covsup.datafile.session.directory import Session

PENDING_REPORTS: Final = "*.owed"
"""Reports that were asked for and not made yet."""


def mark_as_reported(session: Session) -> None:
    """Note that what the session recorded so far is in the data file and was told."""
    session.mark(REPORTED)


def collect_reported_sessions(data_file: Path) -> None:
    """Collect, and delete, the sessions of `data_file` that were reported and have ended since.

    One of which the data file holds nothing any more goes uncollected: something else has replaced
    the result that it was a part of.
    """
    for path in find_sessions(data_file):
        if not (path / REPORTED).exists() or any(path.glob(PENDING_REPORTS)):
            continue
        try:
            session = open_session(path)
            if session.settings.data_file == str(data_file):
                _tidy(session, data_file)
        except (CovsupError, OSError):
            # Left as it is: `covsup combine` says what is the matter with it.
            continue


def _tidy(session: Session, data_file: Path) -> None:
    # Here: a session to be tidied is rare, and what this needs is slow to import.
    from covsup.datafile.database.database import is_data_file, session_ids_in  # noqa: PLC0415
    from covsup.supervisor.combining.combine import combine  # noqa: PLC0415
    from covsup.supervisor.sessions.liveness import ProcessSnapshot, supervisor_runs  # noqa: PLC0415
    from covsup.supervisor.sessions.waiting_sessions import out_of_sight  # noqa: PLC0415
    from covsup.supervisor.settings.combine_settings import CombineSettings  # noqa: PLC0415

    journals = session.journals()
    look = ProcessSnapshot([session.path], journals)
    if supervisor_runs(session.settings, session.path) or look.any_writer_runs(journals):
        return
    if look.members.get(session.path):
        return
    if is_data_file(data_file) and session.id in session_ids_in(data_file):
        combine([session.path], combine_settings=CombineSettings.of_session(session.settings))
    elif not out_of_sight(session.path):
        session.delete()
        tidy_sessions_directory(session.path.parent)
