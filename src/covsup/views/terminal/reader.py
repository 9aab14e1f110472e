"""The thread that reads the view, and makes what the widgets show.

It reads at least once a second. The widgets say what they show now (`want`), and get values
(`deliver`), so no key waits for a read.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from covsup.datafile.errors import CovsupError
from covsup.views.terminal.board_maker import BoardMaker
from covsup.views.terminal.pictures import Wanted

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final

    from covsup.views.model.view import View
    from covsup.views.sources.source_library import SourceLibrary
    from covsup.views.terminal.pictures import Board, Describing, LineStory, SourcePicture

INTERVAL: Final = 0.5
"""Seconds from read to read while the session runs. A change is shown within a second."""

ENDED_INTERVAL: Final = 1.0
"""The same for a session that has ended and for a data file."""

ANALYSING_INTERVAL: Final = 0.4
"""Seconds until finished analyses are taken."""


class Reader:
    """Reads a view in a thread of its own."""

    def __init__(
        self,
        view: View,
        library: SourceLibrary,
        describing: Describing,
        deliver: Callable[[Board | SourcePicture | LineStory | Exception], None],
    ) -> None:
        """`deliver` is called in the reading thread. An exception is the last that it gets."""
        self._maker = BoardMaker(view, library, describing)
        self._deliver = deliver
        self._changed = threading.Condition()
        self._wanted = Wanted()
        self._read_now = False
        self._ends = False
        self._has_read = False
        self._thread = threading.Thread(target=self._run, name="covsup-reader", daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def stop(self) -> None:
        """End, and wait for the end of a read that goes on."""
        with self._changed:
            self._ends = True
            self._changed.notify()
        self._thread.join(5)

    def want(self, wanted: Wanted, *, read_now: bool = False) -> None:
        """Make this from now on. `read_now`: something happened, do not wait for the next read."""
        with self._changed:
            if wanted != self._wanted or read_now:
                self._wanted = wanted
                self._read_now |= read_now
                self._changed.notify()

    def _run(self) -> None:
        try:
            self._read_until_stopped()
        except Exception as error:  # noqa: BLE001 - the application raises it
            self._deliver(error)

    def _read_until_stopped(self) -> None:
        made, next_read = Wanted(), 0.0
        while True:
            with self._changed:
                self._changed.wait_for(
                    lambda: self._ends or self._read_now or self._wanted != made,  # noqa: B023 - called at once
                    timeout=self._patience(next_read),
                )
                if self._ends:
                    return
                before, made = made, self._wanted
                is_due = self._read_now or time.monotonic() >= next_read
                self._read_now = False
            if is_due:
                self._read(made)
                next_read = time.monotonic() + (INTERVAL if self._maker.is_live else ENDED_INTERVAL)
            else:
                self._maker.take_analyses(made)
            for each in self._maker.pictures(before, made):
                self._deliver(each)

    def _read(self, wanted: Wanted) -> None:
        try:
            self._maker.read(wanted)
        except (CovsupError, OSError) as error:
            if not self._has_read:
                raise  # there is nothing to show
            self._maker.problem = _in_one_line(error)
        else:
            self._has_read = True

    def _patience(self, next_read: float) -> float:
        """How long to wait, in seconds."""
        left = max(0.0, next_read - time.monotonic())
        return min(left, ANALYSING_INTERVAL) if self._maker.is_analysing else left


def _in_one_line(error: CovsupError | OSError) -> str:
    if isinstance(error, CovsupError):
        return str(error)
    where = f"{error.filename}: " if error.filename else ""
    return f"{where}{error.strerror or error}"
