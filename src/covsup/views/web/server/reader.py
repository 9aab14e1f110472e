"""The one thread that uses the page's data: it refreshes them, and answers questions in between.

Many clients cost no more refreshes than one. Without clients, refreshes are rare.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from concurrent.futures import Future
from typing import TYPE_CHECKING, Generic, TypeVar

from covsup.datafile.errors import CovsupError
from covsup.views.web.data.page_data import Reset

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Final

    from covsup.views.web.data.page_data import PageData
    from covsup.views.web.data.rows import Change

Answer = TypeVar("Answer")

_SHORTEST_PAUSE: Final = 0.25
"""Seconds between two refreshes with clients. A change is on the screen within a second."""

_LONGEST_PAUSE: Final = 0.7

_PAUSE_WITHOUT_CLIENTS: Final = 5.0

_SHARE: Final = 60
"""A pause is so many times as long as the refresh before it took, within the limits."""


class _Question(Generic[Answer]):
    """Something to be done with the data, in the reader's thread."""

    def __init__(self, ask: Callable[[PageData], Answer]) -> None:
        self._ask = ask
        self.future: Future[Answer] = Future()

    def answer(self, data: PageData) -> None:
        """Do it, unless the one who asked has gone."""
        if not self.future.set_running_or_notify_cancel():
            return
        try:
            self.future.set_result(self._ask(data))
        except Exception as error:  # noqa: BLE001 - it belongs to the one who asked
            self.future.set_exception(error)


class Reader:
    """Refreshes the data of the page."""

    def __init__(
        self,
        data: PageData,
        publish: Callable[[Change | Reset], None],
        report: Callable[[str], None],
    ) -> None:
        """`publish` gets each change, in the reader's thread. `report` gets what could not be read."""
        self._data = data
        self._publish = publish
        self._report = report
        self._wake = threading.Condition()
        self._questions: deque[_Question[Any]] = deque()
        self._clients = 0
        self._ends = False
        self._refresh_began = self._read_at = 0.0
        self._took = 0.0
        self._last_problem = ""
        self._thread = threading.Thread(target=self._run, name="covsup reader", daemon=True)

    def start(self) -> None:
        """Begin to refresh. The caller has done the first refresh."""
        self._read_at = time.monotonic()
        self._thread.start()

    def stop(self) -> None:
        """End the thread, after what it does just now."""
        with self._wake:
            self._ends = True
            self._wake.notify()
        self._thread.join()

    def client_came(self) -> None:
        """One more client wants to see changes soon."""
        with self._wake:
            self._clients += 1
            self._wake.notify()

    def client_went(self) -> None:
        """One client less."""
        with self._wake:
            self._clients -= 1

    def ask(self, ask: Callable[[PageData], Answer], *, fresh: bool = False) -> Future[Answer]:
        """Let the thread call `ask` with the data; `fresh`: with all that had run by now."""
        asked_at = time.monotonic()

        def ask_current(data: PageData) -> Answer:
            if fresh and self._refresh_began < asked_at:
                self._refresh()
            return ask(data)

        question = _Question(ask_current)
        with self._wake:
            self._questions.append(question)
            self._wake.notify()
        return question.future

    def refresh_soon(self) -> None:
        """Refresh now, not after the pause."""
        with self._wake:
            self._read_at = 0.0
            self._wake.notify()

    def _run(self) -> None:
        while not self._ends:
            question = self._next_question()
            if question is not None:
                question.answer(self._data)
            elif not self._ends:
                self._refresh()

    def _next_question(self) -> _Question[Any] | None:
        """The next question, or None when it is time for a refresh or for the end."""
        with self._wake:
            while not self._questions:
                left = self._read_at + self._pause() - time.monotonic()
                if self._ends or left <= 0:
                    return None
                self._wake.wait(left)
            return self._questions.popleft()

    def _pause(self) -> float:
        if not self._clients:
            return _PAUSE_WITHOUT_CLIENTS
        return min(max(_SHORTEST_PAUSE, _SHARE * self._took), _LONGEST_PAUSE)

    def _refresh(self) -> None:
        began, self._refresh_began = time.thread_time(), time.monotonic()
        try:
            change = self._data.refresh()
        except CovsupError as error:
            change = None
            self._report_once(str(error))
        except Exception as error:  # noqa: BLE001 - without this thread no request has an answer
            change = None
            self._report_once(f"the page cannot be brought up to date: {error!r}")
        self._took, self._read_at = time.thread_time() - began, time.monotonic()
        if change is not None:
            self._publish(change)
        if isinstance(change, Reset) and self._data.data_file is None:
            self._report(
                f"{self._data.place} was deleted, and no data file has its result: the page shows"
                " what was read before"
            )

    def _report_once(self, problem: str) -> None:
        """Report what is wrong, unless it was the last thing to be reported."""
        if problem != self._last_problem:
            self._last_problem = problem
            self._report(problem)
