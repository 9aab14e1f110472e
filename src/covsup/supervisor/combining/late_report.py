"""Print a coverage report in place of a pytest that was killed. Imports coverage.py."""

from __future__ import annotations

import contextlib
import shutil
import sys

from coverage.exceptions import CoverageException
from coverage.files import set_relative_directory

from covsup.hints import TYPE_CHECKING
from covsup.supervisor.combining.pytest_answer import reports
from covsup.supervisor.messages import print_message

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any, TypeAlias

    from covsup.datafile.session.settings import Settings

    ReportRequest: TypeAlias = dict[str, Any]
    """A request as the plugin wrote it, from JSON: `pytest_start` and `pytest_reports` name its
    keys."""


def print_report(request: ReportRequest, settings: Settings, data_file: Path | None) -> None:
    """Print the reports of `request`, as pytest would have; an error is reported and ends there."""
    try:
        with contextlib.chdir(request["directory"]):
            set_relative_directory()
            answer = reports(request, settings, data_file)
    except (CoverageException, OSError) as error:
        print_message(f"cannot make the report: {error}")
        return
    if "error" in answer:
        print_message(f"cannot make the report: {answer['error']}")
    text, verdict = answer["text"], answer["verdict"]
    if text or verdict:
        # An empty line first: pytest may have ended in the middle of a line.
        sys.stdout.write(f"\n{_rule('=', 'tests coverage')}\n")
    if text:
        sys.stdout.write(f"{_rule('_', request['title'])}\n\n{text}")
    if verdict:
        sys.stdout.write(f"{verdict}\n")
    sys.stdout.flush()


def _rule(line: str, title: str) -> str:
    """A title in the middle of a line, as pytest draws it."""
    return f" {title} ".center(shutil.get_terminal_size().columns, line)
