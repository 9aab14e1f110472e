"""The rows of files: numbers, counts and sums."""

from __future__ import annotations

from typing import TYPE_CHECKING

from covsup.datafile.fold.sets import lines_in
from covsup.datafile.journal.by_value_names import is_sent_code
from covsup.views.sources.source_library import Priority
from covsup.views.web.data.rows import File, LinesOfFile, Totals

if TYPE_CHECKING:
    from collections.abc import Iterable

    from covsup.views.model.view import View
    from covsup.views.sources.source_library import SourceLibrary


class FileRows:
    """The row of each file, by its number."""

    def __init__(self, library: SourceLibrary, directory: str) -> None:
        """Without files. Paths below `directory` are shown relative to it."""
        self._library = library
        self._directory = directory
        self._paths: list[str] = []
        self._numbers: dict[str, int] = {}
        self._rows: list[File] = []
        self._waiting: set[str] = set()  # paths whose analysis is not ready

    def set_directory(self, directory: str) -> None:
        """Show paths relative to another directory from now on."""
        self._directory = directory

    def add(self, paths: Iterable[str]) -> None:
        """Add files, which may be known already. Those that reports leave out are not shown."""
        new = [
            path
            for path in paths
            if path not in self._numbers
            and not is_sent_code(path)
            and self._library.is_reported(path)
        ]
        self._waiting.update(new)
        self._library.request(new)
        for path in new:
            if path not in self._numbers:
                self._numbers[path] = len(self._paths)
                self._paths.append(path)
                self._rows.append(
                    File(
                        id=self._numbers[path],
                        path=_relative(path, self._directory),
                        statements=None,
                        executed=0,
                        branches=0,
                        taken=0,
                        lines=0,
                        moved=None,
                    )
                )

    def update(self, view: View, paths: Iterable[str]) -> list[File]:
        """Count files again: `paths`, and those whose analysis became ready. Gives the rows that
        changed.
        """
        self.add(sorted(paths))
        moving = [path for path in paths if path in self._numbers]
        self._library.request(moving, Priority.MOVING)
        ready = self._library.take_ready()
        rows = []
        for path in dict.fromkeys((*moving, *ready)):
            number = self._numbers.get(path)
            if number is None:
                continue
            row = self._counted(path, view)
            if row != self._rows[number]:
                self._rows[number] = row
                rows.append(row)
        return rows

    def _counted(self, path: str, view: View) -> File:
        row = self._rows[self._numbers[path]].copy()
        lines, moved_ns = view.lines(path), view.moved_ns(path)
        row["lines"] = lines.bit_count()
        row["moved"] = moved_ns // 1_000_000 if moved_ns else None
        analysis = self._library.analysis(path, Priority.REST)
        if analysis is not None or self._library.problem(path) is not None:
            self._waiting.discard(path)
        if analysis is not None:
            coverage = analysis.coverage(lines, view.arcs(path))
            row["statements"] = coverage.statements.bit_count()
            row["executed"] = coverage.executed.bit_count()
            row["branches"], row["taken"] = coverage.branches, coverage.taken
        return row

    @property
    def all_analysed(self) -> bool:
        """Whether no analysis is missing."""
        return not self._waiting

    def rows(self) -> list[File]:
        """All rows, by number."""
        return list(self._rows)

    def numbers(self) -> range:
        """All numbers."""
        return range(len(self._paths))

    def number(self, path: str) -> int | None:
        """The number of a file, or None."""
        return self._numbers.get(path)

    def path(self, number: int) -> str | None:
        """The path of a file, or None."""
        return self._paths[number] if 0 <= number < len(self._paths) else None

    def row(self, number: int) -> File:
        """The row of a known file."""
        return self._rows[number]

    def paths(self) -> list[str]:
        """All paths, by number."""
        return list(self._paths)

    def lines(self) -> int:
        """How many lines ran, in all files."""
        return sum(row["lines"] for row in self._rows)

    def in_context(self, view: View, label: str) -> list[LinesOfFile]:
        """What ran in a context, the files with most lines first."""
        found = [
            LinesOfFile(file=number, lines=lines_in(bits))
            for number, path in enumerate(self._paths)
            if (bits := view.contexts_of(path).get(label, 0))
        ]
        return sorted(found, key=lambda each: (-len(each["lines"]), each["file"]))

    def totals(self) -> Totals:
        """Sums over the analysed files."""
        analysed = [row for row in self._rows if row["statements"] is not None]
        statements = sum(row["statements"] or 0 for row in analysed)
        executed = sum(row["executed"] for row in analysed)
        branches = sum(row["branches"] for row in analysed)
        taken = sum(row["taken"] for row in analysed)
        counted = statements + branches
        return Totals(
            statements=statements,
            executed=executed,
            branches=branches,
            taken=taken,
            percent=100.0 * (executed + taken) / counted if counted else 100.0,
            files=len(self._rows),
            analysed=len(self._rows) - len(self._waiting),
        )


def _relative(path: str, directory: str) -> str:
    return path.removeprefix(directory.rstrip("/") + "/")
