"""The rows of the file list. Only files that changed, or whose analysis came, are made again."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from covsup.views.sources.source_library import Priority
from covsup.views.terminal.cells import printable
from covsup.views.terminal.pictures import FileRow, Totals

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from covsup.views.model.view import View
    from covsup.views.sources.source_library import SourceLibrary


class FileRows:
    """A row for each measured file."""

    def __init__(self, view: View, library: SourceLibrary) -> None:
        """No rows yet."""
        self._view = view
        self._library = library
        self._rows: dict[str, FileRow] = {}
        self._waiting: set[str] = set()  # paths without an analysis
        self._common = ""
        self._totals: Totals | None = None  # None: a row has changed

    def update(self, changed: Collection[str], visible: Iterable[str]) -> bool:
        """Make the rows of changed files, and of those whose analysis has come. Whether any is new."""
        library = self._library
        paths = {path for path in changed if self._view.lines(path)}
        added = [path for path in changed if path in paths and path not in self._rows]
        if added:
            self._set_common({*self._rows, *added})
            self._waiting.update(added)
            library.request(added, Priority.REST)
        # A file that is looked at is also checked for edits.
        library.request(visible, Priority.LOOKED_AT)
        paths |= library.take_ready() & (self._rows.keys() | paths)
        for path in paths:
            self._make(path)
        if paths:
            self._totals = None
        return bool(paths)

    @property
    def is_complete(self) -> bool:
        """Whether every file is analysed."""
        return not self._waiting

    def rows(self) -> list[FileRow]:
        """All rows."""
        return list(self._rows.values())

    def row(self, path: str) -> FileRow | None:
        """The row of one file."""
        return self._rows.get(path)

    def name(self, path: str) -> str:
        """A path as it is shown: below the directory that all files share."""
        return printable(path.removeprefix(self._common))

    def problem_of(self, path: str) -> str:
        """Why a file has no analysis, with its short name. "" = it has one, or will."""
        problem = self._library.problem(path) or ""
        return printable(problem.replace(path, os.path.basename(path)))

    def totals(self) -> Totals:
        """The sums over all files."""
        if self._totals is None:
            self._totals = self._added_up()
        return self._totals

    def _added_up(self) -> Totals:
        rows = self._rows.values()
        known = [row for row in rows if row.analysed]
        return Totals(
            files=len(rows),
            analysed=len(known),
            statements=sum(row.statements for row in known),
            executed=sum(row.executed for row in known),
            branches=sum(row.branches for row in known),
            taken=sum(row.branches - row.missing_branches for row in known),
            lines=sum(row.lines for row in rows),
        )

    def _make(self, path: str) -> None:
        view, library = self._view, self._library
        lines = view.lines(path)
        problem = library.problem(path)
        analysis = library.analysis(path, Priority.REST) if problem is None else None
        if analysis is not None or problem is not None:
            self._waiting.discard(path)
        covered = None if analysis is None else analysis.coverage(lines, view.arcs(path))
        self._rows[path] = FileRow(
            key=path,
            name=self.name(path),
            lines=lines.bit_count(),
            analysed=covered is not None,
            statements=covered.statements.bit_count() if covered else 0,
            executed=covered.executed.bit_count() if covered else 0,
            branches=covered.branches if covered else 0,
            missing_branches=covered.branches - covered.taken if covered else 0,
            percent=covered.percent if covered else None,
            changed_ns=view.moved_ns(path),
            problem=self.problem_of(path),
        )

    def _set_common(self, paths: Collection[str]) -> None:
        """Find the directory that all paths share, and name all rows by it."""
        folders = [os.path.dirname(path) for path in paths]
        common = os.path.commonpath(folders) if _can_be_shared(folders) else ""
        common = f"{common}/" if common not in {"", "/"} else ""
        if common != self._common:
            self._common = common
            for path, row in self._rows.items():
                self._rows[path] = row._replace(name=self.name(path))


def _can_be_shared(folders: Collection[str]) -> bool:
    return bool(folders) and all(os.path.isabs(each) for each in folders)
