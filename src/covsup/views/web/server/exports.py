"""coverage.py's own reports of what is shown, as of now: LCOV, Cobertura XML and JSON.

A report is made when a client asks for it, from everything known by then, and kept until there is
something new. Only one is made at a time, in a thread of its own: the server answers meanwhile, and its
end does not wait for a report.
"""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING

from covsup.hints import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from covsup.datafile.fold.result import Result
    from covsup.views.web.data.page_data import PageData
    from covsup.views.web.server.reader import Reader

    MakeReport = Callable[[str, Result | Path], bytes]


class Exports:
    """The reports of one page."""

    def __init__(self, reader: Reader, make: MakeReport) -> None:
        """`make` makes a report, by its kind: "lcov", "xml" or "json"."""
        self._reader = reader
        self._make = make
        self._made: dict[str, tuple[int, bytes]] = {}  # by kind: the revision and the text
        self._turn = asyncio.Lock()

    async def report(self, kind: str) -> bytes:
        """A report as of now. Raises CovsupError."""
        async with self._turn:
            moment = await asyncio.wrap_future(self._reader.ask(_moment, fresh=True))
            made = self._made.get(kind)
            if made is None or made[0] != moment.revision:
                text = await asyncio.wrap_future(self._start(kind, moment.shown))
                made = self._made[kind] = (moment.revision, text)
            return made[1]

    def _start(self, kind: str, shown: Result | Path) -> Future[bytes]:
        """Make a report in a thread that the end of the process does not wait for."""
        future: Future[bytes] = Future()

        def work() -> None:
            try:
                future.set_result(self._make(kind, shown))
            except BaseException as error:  # noqa: BLE001 - it belongs to the one who asked
                future.set_exception(error)

        threading.Thread(target=work, name="covsup report", daemon=True).start()
        return future


class _Moment(NamedTuple):
    """What is shown at one moment, for another thread."""

    revision: int
    shown: Result | Path


def _moment(data: PageData) -> _Moment:
    if (data_file := data.data_file) is not None:
        return _Moment(data.facts_revision, data_file)
    result = data.result
    # The view may change its maps at the next refresh. Their values never change.
    frozen = result._replace(
        lines=dict(result.lines),
        arcs=dict(result.arcs),
        modules=dict(result.modules),
        plugins=dict(result.plugins),
        versions=dict(result.versions),
        first={path: dict(owners) for path, owners in result.first.items()},
        shared=dict(result.shared),
        images=dict(result.images),
        marks=dict(result.marks),
    )
    return _Moment(data.facts_revision, frozen)
