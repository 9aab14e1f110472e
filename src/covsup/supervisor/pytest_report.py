"""Fold a session whose pytest still runs, and make the reports that it asks for.

A command of covsup's that only its pytest plugin gives: a request as JSON on standard input, an
answer as JSON on standard output. The process that is measured imports nothing for it.
"""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from covsup.datafile.errors import CovsupError
from covsup.datafile.session import open_session
from covsup.supervisor.coverage_settings import rcfile_of_session

if TYPE_CHECKING:
    from collections.abc import Mapping

    from coverage import Coverage


def main() -> int:
    """Answer the request; what goes wrong is in the answer."""
    json.dump(answer(json.load(sys.stdin)), sys.stdout)
    return 0


def answer(request: Mapping[str, Any]) -> dict[str, Any]:
    """Fold, report, and compare the total with the minimum."""
    from coverage.exceptions import CoverageException, NoDataError  # noqa: PLC0415

    text = io.StringIO()
    said: dict[str, Any] = {"below": False, "total": 0.0, "precision": 0, "shown": "0%"}
    try:
        measured = _folded(request)
        said["fail_under"] = _minimum(measured, request)
        said["precision"] = precision = _precision(measured)
        try:
            said["total"] = total = _reports(measured, request["reports"], text)
        except NoDataError as error:
            said["error"] = str(error)
            total = 0.0
        from coverage.results import display_covered, should_fail_under  # noqa: PLC0415

        said["shown"] = display_covered(total, precision)
        minimum = said["fail_under"]
        said["below"] = minimum is not None and should_fail_under(total, minimum, precision)
    except (CovsupError, CoverageException, OSError) as error:
        said["error"] = str(error)
    return {**said, "text": text.getvalue()}


def _folded(request: Mapping[str, Any]) -> Coverage:
    from coverage import Coverage  # noqa: PLC0415

    from covsup.supervisor.combine import combine  # noqa: PLC0415
    from covsup.supervisor.rules import Rules  # noqa: PLC0415

    session = open_session(Path(request["session"]))
    settings = session.settings
    rules = Rules.of_session(settings)
    combine([session.path], rules=rules, keep=True, append=settings.append or request["append"])
    config = request["rcfile"] or rcfile_of_session(settings.rcfile)
    measured = Coverage(data_file=settings.data_file, config_file=config)
    if request["precision"] is not None:
        measured.set_option("report:precision", request["precision"])
    measured.load()
    return measured


def _minimum(measured: Coverage, request: Mapping[str, Any]) -> float | None:
    """The option, else the settings' where they set one."""
    if request["fail_under"] is not None:
        return float(request["fail_under"])
    configured = measured.get_option("report:fail_under")
    return float(configured) if isinstance(configured, int | float) and configured else None


def _precision(measured: Coverage) -> int:
    configured = measured.get_option("report:precision")
    return configured if isinstance(configured, int) else 0


def _reports(measured: Coverage, reports: Mapping[str, str | None], text: io.StringIO) -> float:
    """Make the reports; gives the total in percent."""
    total = measured.report(file=io.StringIO())
    for kind in ("term", "term-missing"):
        if kind in reports:
            measured.report(
                file=text,
                ignore_errors=True,
                show_missing=True if kind == "term-missing" else None,
                skip_covered=True if reports[kind] == "skip-covered" else None,
            )
    for kind, where in reports.items():
        match kind:
            case "annotate":
                measured.annotate(directory=where, ignore_errors=True)
                text.write(f"Coverage annotated source written to {_place('dir', where)}\n")
            case "html":
                measured.html_report(directory=where, ignore_errors=True)
                shown = where or measured.get_option("html:directory")
                text.write(f"Coverage HTML written to dir {shown}\n")
            case "xml":
                measured.xml_report(outfile=where, ignore_errors=True)
                text.write(f"Coverage XML written to file {_file(measured, 'xml', where)}\n")
            case "json":
                measured.json_report(outfile=where, ignore_errors=True)
                text.write(f"Coverage JSON written to file {_file(measured, 'json', where)}\n")
            case "lcov":
                measured.lcov_report(outfile=where, ignore_errors=True)
                text.write(f"Coverage LCOV written to file {_file(measured, 'lcov', where)}\n")
            case "markdown" | "markdown-append":
                mode = "a" if kind == "markdown-append" else "w"
                with Path(where or "coverage.md").open(mode, encoding="utf-8") as file:
                    measured.report(
                        output_format="markdown", file=file, ignore_errors=True, show_missing=True
                    )
                done = "appended to" if mode == "a" else "written to"
                text.write(f"Coverage Markdown information {done} file {where}\n")
            case _:
                continue
    return total


def _place(noun: str, where: str | None) -> str:
    return f"{noun} {where}" if where else "the sources' directories"


def _file(measured: Coverage, kind: str, where: str | None) -> object:
    return where or measured.get_option(f"{kind}:output")
