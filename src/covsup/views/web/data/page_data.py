"""The page's data: rows that are kept up to date from one refresh of a view to the next."""

from __future__ import annotations

import contextlib
import os
from collections import deque
from typing import TYPE_CHECKING

from covsup.datafile.fold.result import Kind
from covsup.datafile.fold.sets import lines_in
from covsup.hints import NamedTuple
from covsup.views.model.ended_sessions import data_file_with
from covsup.views.sources.source_library import SourceUnavailable
from covsup.views.web.data.contexts import ContextRows
from covsup.views.web.data.figures import figures_of
from covsup.views.web.data.files import FileRows
from covsup.views.web.data.marks import MarkRows, new_since
from covsup.views.web.data.processes import ProcessRows
from covsup.views.web.data.rows import Change, ContextFiles, Since, Source, State, Unused
from covsup.views.web.data.source import source_of
from covsup.views.web.data.unused import unused_code

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path
    from typing import Final

    from covsup.datafile.fold.result import Result
    from covsup.datafile.session.settings import Settings
    from covsup.views.model.view import Change as ViewChange
    from covsup.views.model.view import View
    from covsup.views.sources.source_library import SourceLibrary
    from covsup.views.web.data.figures import Figures
    from covsup.views.web.data.processes import ListProcesses
    from covsup.views.web.data.rows import Activity

_MOST_ACTIVITY: Final = 600
"""So many times at which new lines were found are kept."""

STATE_VERSION: Final = 1
"""Raise it when a key of a State changes its meaning."""


class NoSuchRow(Exception):
    """There is no file, context or mark with this number."""


class Reset(NamedTuple):
    """Everything may be different: the state has to be loaded again."""

    revision: int


class PageData:
    """Everything that the page shows of a view. One thread at a time may use it."""

    def __init__(
        self,
        view: View,
        library: SourceLibrary,
        *,
        list_processes: ListProcesses,
        unexecuted: Callable[[View], Mapping[str, str]],
    ) -> None:
        """`unexecuted` gives the files to be shown although nothing of them may have run, each with
        the plugin of coverage.py that reports it, or "".

        The first refresh reads everything.
        """
        self.revision = 0
        self.facts_revision = 0
        """Raised when the view found something new, and not when an analysis became ready."""
        self._view = view
        self._library = library
        self._list_processes = list_processes
        self._unexecuted = unexecuted
        self._activity: deque[Activity] = deque(maxlen=_MOST_ACTIVITY)
        self._at = 0
        self._first_lines = self._most_lines = 0
        self._was_replaced = False
        self._plugins: Mapping[str, frozenset[str]] = {}
        self._files = FileRows(library, "")
        self._contexts = ContextRows()
        self._marks = MarkRows()
        self._processes = ProcessRows(list_processes)

    @property
    def place(self) -> Path:
        """The session directory or the data file that was opened."""
        return self._view.place

    @property
    def is_live(self) -> bool:
        """Whether processes may still add to it."""
        return self._view.is_live

    @property
    def data_file(self) -> Path | None:
        """The data file that is shown; None for a session directory, or where neither is left."""
        place = self._view.place
        if place.is_dir():
            return None
        if place.exists():
            return place
        session = self._view.result.sessions.get(place.name)
        return None if session is None else data_file_with(session)

    @property
    def result(self) -> Result:
        """Everything that is shown. Valid until the next refresh."""
        return self._view.result

    def refresh(self) -> Change | Reset | None:
        """Read what is new. None if nothing is, and at the first call: the state has it all.

        When the directory of a session is gone, the data file with its result is shown from then on.
        Raises CovsupError where the place cannot be read. What was known before stays.
        """
        change = self._view.refresh()
        if not self.revision:
            self._begin_rows(change, ())
            self._first_lines = self._most_lines = self._files.lines()
            return None
        if not self._was_replaced and not self._view.is_live and not self._view.place.exists():
            self._was_replaced = True
            self._begin_rows(change, self._files.paths())
            return Reset(self.revision)
        return self._updated(change)

    def analyse_all(self) -> None:
        """Wait until each file is analysed, as far as it can be."""
        for path in self._files.paths():
            with contextlib.suppress(SourceUnavailable):  # its row says that nothing is known
                self._library.analysis_now(path)
        self._files.update(self._view, ())

    def _begin_rows(self, change: ViewChange, known: Iterable[str]) -> None:
        """Make all rows. Files that were `known` keep their order, and so most often their number."""
        view = self._view
        unexecuted = self._unexecuted(view)
        self._plugins = {path: frozenset([name]) for path, name in unexecuted.items() if name}
        self._library.learn_plugins({**self._plugins, **view.result.plugins})
        shown = {*view.paths(), *unexecuted}
        self._files = FileRows(self._library, self._working_directory())
        self._files.add(path for path in known if path in shown)
        self._files.add(sorted(shown))
        self._files.update(view, self._files.paths())
        self._contexts, self._marks = ContextRows(), MarkRows()
        self._contexts.update(view, view.paths())
        self._marks.update(view.result.marks)
        self._processes = ProcessRows(self._list_processes)
        self._processes.update(view, is_changed=True)
        self._at = change.at_ns // 1_000_000
        self.revision += 1
        self.facts_revision += 1

    def _updated(self, change: ViewChange) -> Change | None:
        view = self._view
        if change.files:
            self._library.learn_plugins({**self._plugins, **view.result.plugins})
        files = self._files.update(view, change.files)
        if not (change or files):
            return None
        processes = self._processes.update(view, is_changed=change.processes) if change else []
        self.revision += 1
        self.facts_revision += bool(change)
        self._at = change.at_ns // 1_000_000
        count = sum(bits.bit_count() for bits in change.lines.values())
        activity: list[Activity] = [(self._at, count)] if count else []
        self._activity.extend(activity)
        return Change(
            revision=self.revision,
            at=self._at,
            live=self.is_live,
            finished=self._is_finished(),
            lines={
                str(number): lines_in(bits)
                for path, bits in change.lines.items()
                if (number := self._files.number(path)) is not None
            },
            files=files,
            processes=processes,
            contexts=self._contexts.update(view, change.files),
            marks=self._marks.update(view.result.marks),
            totals=self._files.totals(),
            activity=activity,
        )

    def state(self) -> State:
        """Everything but the sources."""
        result = self._view.result
        return State(
            version=STATE_VERSION,
            title=self._title(),
            place=str(self.data_file or self._view.place),
            live=self.is_live,
            finished=self._is_finished(),
            can_mark=self.is_live and not self._is_finished(),
            branch=result.kind is Kind.ARCS,
            at=self._at,
            revision=self.revision,
            files=self._files.rows(),
            processes=self._processes.rows(),
            contexts=self._contexts.rows(),
            marks=self._marks.rows(),
            totals=self._files.totals(),
            activity=list(self._activity),
        )

    def file_numbers(self) -> range:
        """The numbers of all files."""
        return self._files.numbers()

    def source(self, number: int) -> Source:
        """One file, to be shown. Raises NoSuchRow."""
        path = self._files.path(number)
        if path is None:
            raise NoSuchRow(f"there is no file {number}")
        return source_of(
            self._files.row(number),
            path,
            view=self._view,
            library=self._library,
            context_number=self._contexts.number,
        )

    def unused(self) -> Unused:
        """The code that never ran."""
        return unused_code(self._files, self._view, self._library)

    def since(self, number: int) -> Since:
        """What ran for the first time since a mark. Raises NoSuchRow."""
        mark = self._marks.mark(number)
        if mark is None:
            raise NoSuchRow(f"there is no mark {number}")
        return Since(files=new_since(self._files, self._view, self._view.result.marks[mark]))

    def context(self, number: int) -> ContextFiles:
        """What ran in a context, the files with most lines first. Raises NoSuchRow."""
        label = self._contexts.label(number)
        if label is None:
            raise NoSuchRow(f"there is no context {number}")
        return ContextFiles(id=number, files=self._files.in_context(self._view, label))

    def figures(self) -> Figures:
        """The figures as of now."""
        self._most_lines = max(self._most_lines, self._files.lines())
        return figures_of(
            self._files,
            self._processes.rows(),
            self._view.result.modules,
            self._view.provenance,
            self._most_lines - self._first_lines,
        )

    def _is_finished(self) -> bool:
        return not (self.is_live and self._processes.any_runs)

    def _newest_session(self) -> Settings | None:
        sessions = self._view.result.sessions.values()
        return max(sessions, key=lambda each: each.started_ns, default=None)

    def _working_directory(self) -> str:
        """The directory that paths are shown relative to: that of the newest session, or this one."""
        newest = self._newest_session()
        return newest.cwd if newest is not None and newest.cwd else os.getcwd()

    def _title(self) -> str:
        """The command that was measured, or the name of the data file."""
        newest = self._newest_session()
        return " ".join(newest.command) if newest is not None else self._view.place.name
