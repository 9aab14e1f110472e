"""`covsup --answer-pytest`: open a session for a pytest, or make the reports that it asks for.

Only covsup's pytest plugin gives this command: a request as JSON on standard input, an answer as JSON
on standard output. The measured pytest itself imports nothing for it.
"""

from __future__ import annotations

import json
import os
import sys

from covsup.hints import TYPE_CHECKING
from covsup.supervisor.errors import UsageError
from covsup.supervisor.gc_pause import gc_disabled

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any


def run(_: Sequence[str]) -> int:
    """Answer one request. A failure is reported in the answer. Raises UsageError without a request."""
    with gc_disabled():
        try:
            request = json.load(sys.stdin)
        except ValueError as error:
            raise UsageError(f"no request of covsup's pytest plugin: {error}") from error
        if request["do"] == "open":
            answer = _open(request)
        else:
            from covsup.supervisor.combining.pytest_answer import answer_request

            answer = answer_request(request)
        json.dump(answer, sys.stdout)
        return 0


def _open(request: Mapping[str, Any]) -> dict[str, Any]:
    """Open a session that ends with the process that asks, and with all that it started."""
    from covsup.carrier.preload_library import PRELOAD, with_carrier
    from covsup.datafile.errors import CovsupError
    from covsup.supervisor.commands.env import make_parser
    from covsup.supervisor.sessions.create import (
        check_data_file,
        required_carrier,
        start_session,
    )
    from covsup.supervisor.settings.resolved_settings import resolve_run_settings

    try:
        settings = resolve_run_settings(make_parser().parse_args(request["options"]))
        check_data_file(settings)
        carrier = required_carrier() if settings.carrier else None
        command = ("pytest", *request["options"])
        session = start_session(settings, command=command, supervisor_pid=request["pid"])
    except CovsupError as error:
        return {"error": str(error)}
    answer: dict[str, Any] = {"session": str(session.path), "warnings": settings.warnings}
    if carrier is not None:
        answer["preload"] = with_carrier(os.environ.get(PRELOAD, ""), carrier)
    return answer
