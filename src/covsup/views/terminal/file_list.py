"""The list of files."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from covsup.views.terminal.cells import (
    count,
    duration,
    fitted_path,
    percent,
    printable,
)
from covsup.views.terminal.pictures import FileRow
from covsup.views.terminal.row_list import RowList
from covsup.views.terminal.sorting import Column, Sorting

if TYPE_CHECKING:
    from rich.style import Style

    from covsup.views.terminal.line_widget import Cells
    from covsup.views.terminal.palette import Palette
    from covsup.views.terminal.pictures import Board

_PERCENT: Final = 7
_NUMBER: Final = 7
_AGO: Final = 8
_MOVES_NS: Final = 10 * 10**9
"""So long a file with a new line counts as moving."""


class FileList(RowList[FileRow]):
    """The files: how much of each ran, and which move now."""

    def __init__(self, palette: Palette, *, id: str) -> None:  # noqa: A002 - textual's name
        """No rows yet."""
        super().__init__(palette, id=id)
        self.sorting = Sorting[FileRow](
            [
                Column("file", lambda row: row.name),
                Column("moved", lambda row: row.changed_ns, descending=True),
                Column("percent", lambda row: 101.0 if row.percent is None else row.percent),
                Column("missing", lambda row: row.statements - row.executed, descending=True),
                Column("lines", lambda row: row.statements, descending=True),
            ]
        )
        self._board: Board | None = None

    def show(self, board: Board) -> None:
        """Show the files of a board: all, or those with lines of the user's choice."""
        self._board = board
        chosen = self._chosen(board)
        rows = board.files if chosen is None else [row for row in board.files if row.key in chosen]
        if board.since is not None:
            self.empty = "no line is new since the mark"
        elif board.scoped is not None:
            self.empty = "no lines of this choice"
        else:
            self.empty = "no file has run yet"
        self.set_rows(self.sorting.apply(rows))

    def key_of(self, row: FileRow) -> object:
        """See RowList."""
        return row.key

    def text_of(self, row: FileRow) -> str:
        """See RowList."""
        return row.name

    def head(self, width: int) -> Cells:
        """See RowList."""
        style, shown = self._head_style, self._columns(width)
        return [
            (" FILE".ljust(shown["name"]), style("file")),
            ("COVER".rjust(_PERCENT), style("percent")),
            (" " * (shown["bar"] + 1), self.palette.head),
            (("NEW" if self._is_chosen else "LINES").rjust(_NUMBER), style("lines")),
            ("MISSING".rjust(shown["missing"])[-shown["missing"] :], style("missing"))
            if shown["missing"]
            else ("", self.palette.head),
            ("BRANCH".rjust(shown["branches"]), self.palette.head)
            if shown["branches"]
            else ("", self.palette.head),
            ("MOVED".rjust(_AGO), style("moved")),
        ]

    def draw(self, row: FileRow, width: int) -> Cells:
        """See RowList."""
        palette, shown = self.palette, self._columns(width)
        is_moving = bool(row.changed_ns) and time.time_ns() - row.changed_ns < _MOVES_NS
        name_style = palette.strong if is_moving else palette.text
        cells: Cells = [(" " + fitted_path(row.name, shown["name"] - 1), name_style)]
        if row.percent is None:
            text = "cannot be analysed" if row.problem else "…"
            cells += [
                (" " * _PERCENT, palette.dim),
                (" " + text[: shown["bar"]].ljust(shown["bar"]), palette.dim),
            ]
        else:
            cells += [
                (percent(row.percent).rjust(_PERCENT), palette.text),
                (" ", palette.text),
                *palette.bar(row.percent, shown["bar"]),
            ]
        missing = row.statements - row.executed
        if self._is_chosen:
            cells.append((f"+{count(self._chosen_lines(row))}".rjust(_NUMBER), palette.good))
        else:
            cells.append((count(row.statements or row.lines).rjust(_NUMBER), palette.dim))
        cells.append((count(missing).rjust(shown["missing"]) if missing and shown["missing"]
                      else " " * shown["missing"], palette.bad))  # fmt: skip
        branches = f"{row.branches - row.missing_branches}/{row.branches}" if row.branches else ""
        cells.append((branches.rjust(shown["branches"]) if shown["branches"] else "",
                      palette.warn if row.missing_branches else palette.dim))  # fmt: skip
        cells.append((self._moved(row).rjust(_AGO), palette.good if is_moving else palette.dim))
        return cells

    def details(self) -> list[Cells]:
        """See RowList."""
        row, palette = self.current, self.palette
        if row is None:
            return [[], []]
        path = fitted_path(printable(row.key), max(8, self.app.size.width - 2))
        first: Cells = [(f" {path}", palette.text)]
        if row.problem:
            return [first, [(f" {row.problem}", palette.bad)]]
        if row.percent is None:
            return [first, [(" the source is being analysed", palette.dim)]]
        second: Cells = [
            (f" {count(row.executed)} of {count(row.statements)} lines", palette.accent)
            if row.statements
            else (" no statements", palette.dim)
        ]
        if row.branches:
            taken = row.branches - row.missing_branches
            second.append((f", {count(taken)} of {count(row.branches)} branches", palette.accent))
        second.append(("   Enter shows the source", palette.dim))
        return [first, second]

    @property
    def _is_chosen(self) -> bool:
        return self._board is not None and self._chosen(self._board) is not None

    @staticmethod
    def _chosen(board: Board) -> set[str] | None:
        """The paths that the user's choice leaves. None: all."""
        chosen = None if board.since is None else set(board.new)
        if board.scoped is not None:
            chosen = set(board.scoped) if chosen is None else chosen & set(board.scoped)
        return chosen

    def _chosen_lines(self, row: FileRow) -> int:
        board = self._board
        if board is None:
            return 0
        if board.since is not None:
            return board.new.get(row.key, 0)
        return board.scoped.get(row.key, 0) if board.scoped is not None else 0

    @staticmethod
    def _moved(row: FileRow) -> str:
        if not row.changed_ns:
            return ""
        seconds = (time.time_ns() - row.changed_ns) / 1e9
        return "now" if seconds < 2 else duration(seconds)

    def _columns(self, width: int) -> dict[str, int]:
        missing = 8 if width >= 56 else 0
        branches = 9 if width >= 74 else 0
        bars = 10 if width < 100 else 20
        if width < 44:
            bars = 5
        fixed = _PERCENT + bars + 1 + _NUMBER + missing + branches + _AGO
        return {
            "name": max(8, width - fixed),
            "bar": bars,
            "missing": missing,
            "branches": branches,
        }

    def _head_style(self, name: str) -> Style:
        is_sorted = self.sorting.column.name == name
        return self.palette.head_sorted if is_sorted else self.palette.head
