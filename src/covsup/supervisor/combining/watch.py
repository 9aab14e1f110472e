"""`covsup combine --keep --watch`: combine again whenever something new has run.

A view of each session says whether there is something new, at a small part of the cost of a
combination. The data file and the reports are replaced in one step each, so a program that reads them
always finds whole files.
"""

from __future__ import annotations

import sys
import time

from covsup.datafile.database.database import is_data_file
from covsup.datafile.errors import CovsupError, SessionUnreadable
from covsup.datafile.session.directory import open_session
from covsup.hints import TYPE_CHECKING, NamedTuple
from covsup.supervisor.combining.coverage_reports import REPORTS, ReportFailed, write_report
from covsup.supervisor.combining.inputs import Inputs
from covsup.supervisor.errors import NOT_STORED
from covsup.supervisor.messages import local_time, print_message
from covsup.supervisor.sessions.waiting_sessions import with_processes
from covsup.views.model.open_view import open_view

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path
    from typing import Final

    from covsup.supervisor.combining.combine_result import CombineResult
    from covsup.views.model.view import View

_SHARE: Final = 3
"""A pause is at least so many times as long as the combination and the reports before it took."""


class Watch(NamedTuple):
    """What is combined again and again, and what is written."""

    paths: Sequence[Path]
    data_file: Path
    seconds: float
    reports: Sequence[str]  # names of REPORTS
    config_file: str | bool  # coverage.py's
    quiet: bool
    combine: Callable[[], CombineResult]


def watch(watched: Watch) -> int:
    """Combine until the sessions have ended or Ctrl-C is pressed; gives the exit status.

    Raises CovsupError if the first combination fails.
    """
    try:
        return _Watcher(watched).run()
    except KeyboardInterrupt:
        return 0


class _Watcher:
    """One run of the command."""

    def __init__(self, watched: Watch) -> None:
        self._watched = watched
        self._views: dict[Path, View] = {}
        self._printed: set[str] = set()
        self._status = 0

    def run(self) -> int:
        """See watch()."""
        is_first = True
        while True:
            began = time.monotonic()
            directories = self._directories(is_first)
            # In this order: what has run before the last process ended is combined once more.
            is_last = not _any_runs(directories)
            if self._is_new(directories) or is_first:
                if directories or is_first:
                    self._combine(directories, is_first)
                # Without a directory the run has ended, and has made its result by itself.
                self._write_reports()
            if is_last:
                return self._status
            is_first = False
            took = time.monotonic() - began
            time.sleep(max(self._watched.seconds, _SHARE * took))

    def _directories(self, is_first: bool) -> list[Path]:
        """The session directories that there are. Raises CovsupError at first."""
        try:
            inputs = Inputs(self._watched.paths, self._watched.data_file)
        except CovsupError:
            if is_first:
                raise
            return []
        return [path for path in inputs.sessions if path.exists()]

    def _is_new(self, directories: Iterable[Path]) -> bool:
        """Whether anything has run since the last call, or a session has ended or begun."""
        there = set(directories)
        is_new = there != self._views.keys()
        for path in self._views.keys() - there:
            del self._views[path]
        for path in there:
            try:
                if path not in self._views:
                    self._views[path] = open_view(path)
                is_new = bool(self._views[path].refresh()) or is_new
            except (CovsupError, OSError):
                is_new = True  # combining reports what is wrong with it
        return is_new

    def _combine(self, directories: Iterable[Path], is_first: bool) -> None:
        """Combine, and print what is wrong. Raises CovsupError at first."""
        try:
            result = self._watched.combine()
        except CovsupError as error:
            if is_first:
                raise
            if any(path.exists() for path in directories):
                self._status = NOT_STORED
                self._print_once([str(error)])
            return
        self._status = NOT_STORED if result.unreadable else 0
        # That processes still run is no news here.
        self._print_once(result._replace(running=(), programs=()).sentences())
        if sys.stdout.isatty() and not self._watched.quiet:
            number = f"{result.processes} {'process' if result.processes == 1 else 'processes'}"
            at = local_time(time.time_ns())
            sys.stdout.write(f"{at}  combined {number} into {result.data_file}\n")
            if is_first and self._watched.reports:
                names = ", ".join(REPORTS[kind] for kind in self._watched.reports)
                sys.stdout.write(f"Beside it: {names}, each time anew. Ctrl-C ends.\n")
            sys.stdout.flush()

    def _write_reports(self) -> None:
        watched = self._watched
        if not is_data_file(watched.data_file):
            return
        for kind in watched.reports:
            out = watched.data_file.with_name(REPORTS[kind])
            try:
                write_report(kind, watched.data_file, out, watched.config_file)
            except ReportFailed as error:
                self._status = NOT_STORED
                self._print_once([str(error)])

    def _print_once(self, sentences: Iterable[str]) -> None:
        for sentence in sentences:
            if sentence not in self._printed:
                self._printed.add(sentence)
                print_message(sentence)


def _any_runs(directories: Iterable[Path]) -> bool:
    """Whether a session is open, or a process of it runs."""
    sessions = []
    for path in directories:
        try:
            sessions.append(open_session(path))
        except SessionUnreadable:
            continue
    return any(each.session.settings.open or each.runs for each in with_processes(sessions))
