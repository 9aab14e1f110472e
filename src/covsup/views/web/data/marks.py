"""The rows of marks, and what is new since one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from covsup.datafile.fold.sets import arcs_in, lines_in
from covsup.views.web.data.rows import NewInFile, PageMark

if TYPE_CHECKING:
    from collections.abc import Iterable

    from covsup.datafile.session.marks import Mark, MarkedFacts
    from covsup.views.model.view import View
    from covsup.views.web.data.files import FileRows


class MarkRows:
    """The row of each mark, by its number."""

    def __init__(self) -> None:
        """Without marks."""
        self._marks: list[Mark] = []

    def update(self, marks: Iterable[Mark]) -> list[PageMark]:
        """Add marks, which may be known already. Gives the new rows."""
        known = set(self._marks)
        new = sorted(set(marks) - known, key=lambda each: (each.at_ns, each))
        self._marks += new
        return self.rows()[len(known) :]

    def rows(self) -> list[PageMark]:
        """All rows, by number."""
        return [
            PageMark(id=number, name=mark.name, at=mark.at_ns // 1_000_000)
            for number, mark in enumerate(self._marks)
        ]

    def mark(self, number: int) -> Mark | None:
        """The mark with a number, or None."""
        return self._marks[number] if 0 <= number < len(self._marks) else None


def new_since(files: FileRows, view: View, marked: MarkedFacts) -> list[NewInFile]:
    """What ran that had not run when a mark was set, the files with most lines first."""
    found = []
    for number, path in enumerate(files.paths()):
        lines = lines_in(view.lines(path) & ~marked.lines.get(path, 0))
        arcs = _new_arcs(view.arcs(path), marked.arcs.get(path, b""))
        if lines or arcs:
            found.append(NewInFile(file=number, lines=lines, arcs=arcs))
    return sorted(found, key=lambda each: (-len(each["lines"]), each["file"]))


def _new_arcs(now: bytes | None, before: bytes) -> list[tuple[int, int]]:
    if not now or now == before:
        return []
    return sorted(set(arcs_in(now)) - set(arcs_in(before)))
