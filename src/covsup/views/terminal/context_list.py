"""The list of contexts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from covsup.views.terminal.cells import count, fitted, printable
from covsup.views.terminal.pictures import ContextRow
from covsup.views.terminal.row_list import RowList
from covsup.views.terminal.sorting import Column, Sorting

if TYPE_CHECKING:
    from rich.style import Style

    from covsup.views.terminal.line_widget import Cells
    from covsup.views.terminal.palette import Palette
    from covsup.views.terminal.pictures import Board

_NUMBER: Final = 9
_BAR: Final = 16
NO_LABEL: Final = "(no context)"


class ContextList(RowList[ContextRow]):
    """The contexts: how many lines ran in each."""

    def __init__(self, palette: Palette, *, id: str) -> None:  # noqa: A002 - textual's name
        """No rows yet."""
        super().__init__(palette, id=id)
        self.empty = "no contexts: `covsup run --dynamic-context=request` records them"
        self.sorting = Sorting[ContextRow](
            [
                Column("lines", lambda row: row.lines, descending=True),
                Column("newest", lambda row: row.order, descending=True),
                Column("context", lambda row: row.key),
                Column("files", lambda row: row.files, descending=True),
            ]
        )
        self._most = 1

    def show(self, board: Board) -> None:
        """Show the contexts of a board."""
        rows = [] if [row.key for row in board.contexts] == [""] else board.contexts
        # What ran at import time, without a context, would make all other bars short.
        self._most = max((row.lines for row in rows if row.key), default=1)
        self.set_rows(self.sorting.apply(rows))

    def key_of(self, row: ContextRow) -> object:
        """See RowList."""
        return row.key

    def text_of(self, row: ContextRow) -> str:
        """See RowList."""
        return printable(row.key)

    def head(self, width: int) -> Cells:
        """See RowList."""
        return [
            (" CONTEXT".ljust(self._name_width(width)), self._head_style("context")),
            ("LINES".rjust(_NUMBER), self._head_style("lines")),
            (" " * (_BAR + 1), self.palette.head),
            ("FILES".rjust(_NUMBER), self._head_style("files")),
        ]

    def draw(self, row: ContextRow, width: int) -> Cells:
        """See RowList."""
        room = self._name_width(width)
        return [
            (fitted(" " + (printable(row.key) or NO_LABEL), room), self.palette.text),
            (count(row.lines).rjust(_NUMBER) + " ", self.palette.accent),
            *self.palette.plain_bar(row.lines / self._most, _BAR, self.palette.bar_accent),
            (count(row.files).rjust(_NUMBER), self.palette.dim),
        ]

    def details(self) -> list[Cells]:
        """See RowList."""
        row = self.current
        if row is None:
            return [[], []]
        return [
            [(" " + (printable(row.key) or NO_LABEL), self.palette.text)],
            [(" Enter shows the files and lines of this context alone", self.palette.dim)],
        ]

    @staticmethod
    def _name_width(width: int) -> int:
        return max(8, width - 2 * _NUMBER - _BAR - 1)

    def _head_style(self, name: str) -> Style:
        is_sorted = self.sorting.column.name == name
        return self.palette.head_sorted if is_sorted else self.palette.head
