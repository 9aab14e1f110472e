"""Reports that a pytest was asked for and could not make, because it was killed.

`os._exit` in a test, pytest-timeout, a crash: the plugin leaves word in the session directory at the
beginning, and takes it back when it has reported. What is there when all has ended is made here.
"""

from __future__ import annotations

import json
import sys

from covsup.hints import TYPE_CHECKING
from covsup.supervisor.messages import print_message
from covsup.supervisor.sessions.reported_sessions import PENDING_REPORTS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from typing import Any, TypeAlias

    from covsup.datafile.session.directory import Session

ReportRequest: TypeAlias = "dict[str, Any]"


def pending_reports(session: Session) -> list[ReportRequest]:
    """The reports that were asked for and not made; to be read before the session is deleted."""
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
    """Make them; `data_file` has the session, and `status` is the target's raw wait status."""
    for request in requests:
        if request["not_on_fail"] and status != 0:
            continue
        print_message(
            f"pytest, process {request['pid']}, ended without its coverage report: here it is"
            if request["reports"]
            else f"pytest, process {request['pid']}, ended without its verdict on the coverage"
        )
        _make(request, session, data_file)


def _make(request: ReportRequest, session: Session, data_file: Path | None) -> None:
    import contextlib  # noqa: PLC0415 - as coverage.py: only where a pytest was killed

    from coverage.exceptions import CoverageException  # noqa: PLC0415
    from coverage.files import set_relative_directory  # noqa: PLC0415

    from covsup.supervisor.combining.pytest_answer import reports  # noqa: PLC0415

    try:
        with contextlib.chdir(request["directory"]):
            set_relative_directory()
            answer = reports(request, session.settings, data_file)
    except (CoverageException, OSError) as error:
        print_message(f"no report could be made: {error}")
        return
    if "error" in answer:
        print_message(f"no report could be made: {answer['error']}")
    text, verdict = answer["text"], answer["verdict"]
    if text or verdict:
        # pytest may have ended in the middle of a line.
        sys.stdout.write(f"\n{_rule('=', 'tests coverage')}\n")
    if text:
        sys.stdout.write(f"{_rule('_', request['title'])}\n\n{text}")
    if verdict:
        sys.stdout.write(f"{verdict}\n")
    sys.stdout.flush()


def _rule(line: str, title: str) -> str:
    """A title in the middle of a line, as pytest draws it."""
    import shutil  # noqa: PLC0415 - only where there is something to print

    return f" {title} ".center(shutil.get_terminal_size().columns, line)
