"""Makes what the widgets show out of a view. Used by the reading thread alone."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from covsup.datafile.provenance.model import End
from covsup.views.terminal.cells import printable
from covsup.views.terminal.context_rows import ContextRows
from covsup.views.terminal.file_rows import FileRows
from covsup.views.terminal.pictures import Board, MarkRow, Wanted
from covsup.views.terminal.process_rows import process_rows
from covsup.views.terminal.source_maker import SourceMaker, new_lines, scope_lines

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from typing import Final

    from covsup.datafile.fold.sets import LineSet
    from covsup.datafile.session.marks import Mark
    from covsup.datafile.session.settings import Settings
    from covsup.views.model.view import View
    from covsup.views.sources.source_library import SourceLibrary
    from covsup.views.terminal.pictures import (
        Describing,
        LineStory,
        ProcessRow,
        SourcePicture,
        Totals,
    )

SECONDS: Final = 60
"""So many seconds of history are shown."""


class BoardMaker:
    """Keeps what was made, and makes only what changed."""

    def __init__(self, view: View, library: SourceLibrary, describing: Describing) -> None:
        """Reads nothing yet."""
        self.problem = ""
        self._view = view
        self._describing = describing
        self._files = FileRows(view, library)
        self._contexts = ContextRows(view)
        self._source = SourceMaker(view, library, self._files, describing)
        self._processes: tuple[ProcessRow, ...] = ()
        self._ended_ns = 0
        self._changed = True
        self._has_read = False
        self._new: dict[Mark, Mapping[str, LineSet]] = {}
        self._moves_until_ns = 0
        self._moved: dict[str, int] = {}  # by image id: when it last executed something new

    @property
    def is_live(self) -> bool:
        """Whether processes may still add to the view."""
        return self._view.is_live

    @property
    def is_analysing(self) -> bool:
        """Whether analyses of sources are still to come."""
        return not self._files.is_complete

    def read(self, wanted: Wanted) -> None:
        """Read what is new. Raises CovsupError."""
        was_live, had_problem = self._view.is_live, bool(self.problem)
        change = self._view.refresh()
        self.problem = ""
        if change:
            self._new = {}
            self._source.note_change(change)
            self._contexts.update(change.files)
            if change.by_image and self._has_read:  # the first read finds what ran before
                self._moved.update(dict.fromkeys(change.by_image, change.at_ns))
                self._moves_until_ns = change.at_ns + (SECONDS + 1) * 10**9
        if change.processes or was_live != self._view.is_live:
            self._make_processes()
        elif change.by_image:
            self._count_lines(change.by_image)
        self._has_read = True
        self._files.update(change.files, wanted.visible)
        self._changed |= bool(change) or was_live != self._view.is_live or had_problem

    def take_analyses(self, wanted: Wanted) -> None:
        """Use the analyses that have come since."""
        self._changed |= self._files.update((), wanted.visible)

    def pictures(
        self, before: Wanted, wanted: Wanted
    ) -> Iterator[Board | SourcePicture | LineStory]:
        """What is to be shown now, and differs from what was shown."""
        now_ns = time.time_ns()
        moves = now_ns < self._moves_until_ns  # a sparkline still moves
        asked = before.since != wanted.since or before.scope != wanted.scope
        if self._changed or self.problem or moves or asked:
            yield self._board(wanted, now_ns)
        yield from self._source.pictures(before, wanted)
        self._changed = False

    def _make_processes(self) -> None:
        provenance = self._view.provenance
        roots = self._describing.process_trees(provenance)
        settings = self._settings()
        cwd = settings.cwd if settings is not None else ""
        self._processes = tuple(process_rows(roots, self._view.first_counts, cwd))
        running = any(each.ending.end is End.RUNNING for each in provenance.processes)
        ends = [each.ended_ns for each in provenance.processes]
        self._ended_ns = 0 if running else max(ends, default=0)

    def _count_lines(self, image_ids: Collection[str]) -> None:
        """Give the rows of these images their new counts. The tree is as it was."""
        counts, images = self._view.first_counts, self._view.result.images
        self._processes = tuple(
            row._replace(first=counts.get(row.image_id, 0), lines=images[row.image_id].lines)
            if row.image_id in image_ids and row.image_id in images
            else row
            for row in self._processes
        )

    def _board(self, wanted: Wanted, now_ns: int) -> Board:
        view = self._view
        settings = self._settings()
        marks = self._mark_rows()
        since = next((row for row in marks if row.mark == wanted.since), None)
        history = view.history
        return Board(
            at_ns=now_ns,
            place=view.place,
            is_live=view.is_live,
            command=settings.command if settings else (),
            is_run=settings is not None and settings.supervisor_pid != 0,
            started_ns=settings.started_ns if settings else 0,
            ended_ns=self._ended_ns,
            totals=self._totals(),
            processes=self._processes,
            files=self._files.rows(),
            contexts=self._contexts.rows(),
            marks=marks,
            since=since,
            new={path: lines.bit_count() for path, lines in self._new_lines(wanted.since).items()},
            scoped=self._scoped(wanted),
            history=history.counts(SECONDS, now_ns),
            history_of=self._history_of(now_ns),
            problem=printable(self.problem),
        )

    def _history_of(self, now_ns: int) -> dict[str, list[int]]:
        """By image id: the history of the processes that executed something new lately."""
        if now_ns >= self._moves_until_ns:
            return {}
        oldest = now_ns - SECONDS * 10**9
        return {
            image_id: self._view.history.counts(SECONDS, now_ns, image_id)
            for image_id, moved_ns in self._moved.items()
            if moved_ns > oldest
        }

    def _settings(self) -> Settings | None:
        """Those of the session, or of the last one in a data file."""
        sessions = self._view.result.sessions.values()
        outer = [each for each in sessions if not each.within] or sessions
        return max(outer, key=lambda each: each.started_ns, default=None)

    def _totals(self) -> Totals:
        return self._files.totals()._replace(
            running=sum(row.is_running and not row.is_program for row in self._processes),
            processes=sum(bool(row.image_id) for row in self._processes),
            unmeasured=sum(bool(row.reason) for row in self._processes),
        )

    def _mark_rows(self) -> list[MarkRow]:
        rows = []
        for mark, facts in self._view.result.marks.items():
            new = self._new_lines(mark)
            rows.append(
                MarkRow(
                    key=f"{mark.at_ns} {mark.session} {mark.name}",
                    mark=mark,
                    lines=sum(lines.bit_count() for lines in facts.lines.values()),
                    new=sum(lines.bit_count() for lines in new.values()),
                )
            )
        return sorted(rows, key=lambda row: row.mark.at_ns)

    def _new_lines(self, mark: Mark | None) -> Mapping[str, LineSet]:
        """By path: the lines that are new since a mark. Made again only after a change."""
        if mark is None or mark not in self._view.result.marks:
            return {}
        if mark not in self._new:
            self._new[mark] = new_lines(self._view, mark)
        return self._new[mark]

    def _scoped(self, wanted: Wanted) -> dict[str, int] | None:
        """By path: the lines of the process or the context that the user chose. None: no choice."""
        if wanted.scope is None:
            return None
        return {
            path: lines.bit_count()
            for path in self._view.paths()
            if (lines := scope_lines(self._view, path, wanted.scope))
        }
