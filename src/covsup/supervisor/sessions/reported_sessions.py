"""Sessions without a supervisor whose report was made while their process still ran.

`pytest.main()` measures the process that calls it. When that process ends, no covsup is there to
delete the session, so the next command that uses the data file does it.
"""

from __future__ import annotations

from covsup.datafile.errors import CovsupError
from covsup.datafile.session.directory import REPORTED, open_session
from covsup.datafile.session.places import find_sessions
from covsup.hints import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Final

    from covsup.datafile.session.directory import Session

PENDING_REPORTS: Final = "*.owed"
"""Names of files in a session directory: requests for reports that were not made yet."""


def mark_as_reported(session: Session) -> None:
    """Note that the data file has what the session recorded so far, and a report showed it."""
    session.set_flag(REPORTED)


def collect_reported_sessions(data_file: Path) -> None:
    """Combine and delete the sessions of `data_file` that were reported and have ended since then.

    If the data file has no part of such a session any more, another result has replaced it, and the
    session is deleted without being combined.
    """
    for path in find_sessions(data_file):
        if not (path / REPORTED).exists() or any(path.glob(PENDING_REPORTS)):
            continue
        try:
            session = open_session(path)
            if session.settings.data_file == str(data_file):
                from covsup.supervisor.sessions.ended_session import (  # slow, and rare
                    collect_if_ended,
                )

                collect_if_ended(session, data_file)
        except (CovsupError, OSError):
            continue  # the session stays, and `covsup combine` reports what is wrong with it
