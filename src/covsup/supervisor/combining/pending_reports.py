"""Coverage reports that pytest was asked for and did not make, because it was killed.

covsup's pytest plugin leaves a request in the session directory when it starts, and deletes it when
it has reported. A request that is left when all processes have ended (`os._exit` in a test, a
crash, pytest-timeout) is answered here.
"""

from __future__ import annotations

import json

from covsup.hints import TYPE_CHECKING
from covsup.supervisor.messages import print_message
from covsup.supervisor.sessions.reported_sessions import PENDING_REPORTS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from covsup.datafile.session.directory import Session
    from covsup.supervisor.combining.late_report import ReportRequest


def pending_reports(session: Session) -> list[ReportRequest]:
    """The requests that are left in a session. To be called before the session is deleted."""
    found = []
    for path in sorted(session.path.glob(PENDING_REPORTS)):
        try:
            request = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(request, dict):
            found.append(request)
    return found


def make_pending_reports(
    requests: Sequence[ReportRequest], session: Session, status: int, data_file: Path | None
) -> None:
    """Print the reports. `data_file` has the session's data, if any; `status` is the target's raw
    wait status.
    """
    for request in requests:
        if request["not_on_fail"] and status != 0:
            continue
        print_message(
            f"pytest, process {request['pid']}, ended without its coverage report: here it is"
            if request["reports"]
            else f"pytest, process {request['pid']}, ended before it judged the coverage: here it is"
        )
        from covsup.supervisor.combining.late_report import (  # imports coverage.py
            print_report,
        )

        print_report(request, session.settings, data_file)
