"""Make the reports that a pytest asks for while it still runs.

Its session is combined as far as it goes, and coverage.py reports on the result.
"""

from __future__ import annotations

import io
from pathlib import Path

from coverage import Coverage
from coverage.exceptions import CoverageException, NoDataError
from coverage.results import should_fail_under

from covsup.datafile.errors import CovsupError
from covsup.datafile.session import directory as sessions
from covsup.hints import TYPE_CHECKING
from covsup.supervisor.combining.combine import combine
from covsup.supervisor.combining.fail_under import total_and_minimum
from covsup.supervisor.combining.losses import lost_sentences, unmeasured_sentences
from covsup.supervisor.sessions.reported_sessions import mark_as_reported
from covsup.supervisor.settings.combine_settings import CombineSettings
from covsup.supervisor.settings.coverage_settings import config_file_of_session

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from covsup.datafile.session.settings import Settings
    from covsup.supervisor.combining.combine_result import CombineResult


def answer_request(request: Mapping[str, Any]) -> dict[str, Any]:
    """Combine what there is so far, make the reports, and compare the total with the minimum."""
    try:
        session = sessions.open_session(Path(request["session"]))
        combine_settings = CombineSettings.of_session(session.settings)
        append = session.settings.append or request["append"]
        outcome = combine(
            [session.path], combine_settings=combine_settings, keep=True, append=append
        )
        data_file = None if outcome.has_no_data else outcome.data_file_of(session.id)
        answer = reports(request, session.settings, data_file)
        if session.settings.supervisor_pid == request["pid"]:
            mark_as_reported(session)
            answer["said"] = _sentences(outcome, session.id)
    except (CovsupError, CoverageException, OSError) as error:
        return {"error": str(error)}
    return answer


def _sentences(outcome: CombineResult, session: str) -> list[str]:
    """What a supervisor would print at the end. A session opened by pytest has none."""
    provenance = outcome.provenance_of(session)
    return [
        *outcome.unreadable,
        *(each.sentence() for each in outcome.aside if each.is_new),
        *outcome.warnings,
        *unmeasured_sentences(provenance),
        *lost_sentences(provenance),
    ]


def reports(
    request: Mapping[str, Any], settings: Settings, data_file: Path | None
) -> dict[str, Any]:
    """Make the reports on `data_file`. None: nothing was measured, so an older file does not count.

    Raises CoverageException, OSError.
    """
    config = request["rcfile"] or config_file_of_session(settings.rcfile)
    measured = Coverage(data_file=data_file and str(data_file), config_file=config)
    if request["precision"] is not None:
        measured.set_option("report:precision", request["precision"])
    measured.load()
    minimum, precision = _minimum(measured, request), _precision(measured)
    text = io.StringIO()
    answer: dict[str, Any] = {"fail_under": minimum, "precision": precision}
    try:
        total = _reports(measured, request["reports"], text)
    except NoDataError as error:
        answer["error"] = str(error)
        total = 0.0
    below = minimum is not None and should_fail_under(total, minimum, precision)
    return {
        **answer,
        "text": text.getvalue(),
        "below": below,
        "shown": total_and_minimum(total, minimum, precision) if below and minimum else ("", ""),
        "verdict": _verdict(total, minimum, below=below) if minimum else "",
    }


def _verdict(total: float, minimum: float, *, below: bool) -> str:
    wanted = int(minimum) if minimum.is_integer() else minimum
    return (
        f"{'FAIL ' if below else ''}Required test coverage of {wanted}%"
        f" {'not reached' if below else 'reached'}. Total coverage: {total:.2f}%"
    )


def _minimum(measured: Coverage, request: Mapping[str, Any]) -> float | None:
    """The minimum of pytest's option, or else of the settings."""
    if request["fail_under"] is not None:
        return float(request["fail_under"])
    configured = measured.get_option("report:fail_under")
    return float(configured) if isinstance(configured, int | float) and configured else None


def _precision(measured: Coverage) -> int:
    configured = measured.get_option("report:precision")
    return configured if isinstance(configured, int) else 0


def _reports(measured: Coverage, wanted: Mapping[str, str | None], text: io.StringIO) -> float:
    """Make the reports, and give the total in percent."""
    total: float | None = None
    for kind in ("term", "term-missing"):
        if kind in wanted:
            total = measured.report(
                file=text,
                ignore_errors=True,
                show_missing=True if kind == "term-missing" else None,
                skip_covered=True if wanted[kind] == "skip-covered" else None,
            )
    for kind, where in wanted.items():
        match kind:
            case "annotate":
                measured.annotate(directory=where, ignore_errors=True)
                text.write(f"Coverage annotated source written {_place(where)}\n")
            case "html":
                total = measured.html_report(directory=where, ignore_errors=True)
                shown = where or measured.get_option("html:directory")
                text.write(f"Coverage HTML written to dir {shown}\n")
            case "xml":
                measured.xml_report(outfile=where, ignore_errors=True)
                text.write(f"Coverage XML written to file {_file(measured, 'xml', where)}\n")
            case "json":
                total = measured.json_report(outfile=where, ignore_errors=True)
                text.write(f"Coverage JSON written to file {_file(measured, 'json', where)}\n")
            case "lcov":
                measured.lcov_report(outfile=where, ignore_errors=True)
                text.write(f"Coverage LCOV written to file {_file(measured, 'lcov', where)}\n")
            case "markdown" | "markdown-append":
                mode = "a" if kind == "markdown-append" else "w"
                with Path(where or "coverage.md").open(mode, encoding="utf-8") as file:
                    measured.report(output_format="markdown", file=file, ignore_errors=True)
                done = "appended to" if mode == "a" else "written to"
                text.write(f"Coverage Markdown information {done} file {where}\n")
            case _:
                continue
    if total is None:
        # annotate, lcov and markdown give none.
        total = measured.report(output_format="total", file=io.StringIO(), ignore_errors=True)
    return total


def _place(where: str | None) -> str:
    return f"to dir {where}" if where else "next to source"


def _file(measured: Coverage, kind: str, where: str | None) -> object:
    return where or measured.get_option(f"{kind}:output")
