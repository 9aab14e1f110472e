"""The list of marks."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from covsup.views.terminal.cells import count, duration, fitted, printable
from covsup.views.terminal.pictures import MarkRow
from covsup.views.terminal.row_list import RowList

if TYPE_CHECKING:
    from covsup.datafile.session.marks import Mark
    from covsup.views.terminal.line_widget import Cells
    from covsup.views.terminal.palette import Palette
    from covsup.views.terminal.pictures import Board

_NUMBER: Final = 10


class MarkList(RowList[MarkRow]):
    """The marks: how much has run since each."""

    def __init__(self, palette: Palette, *, id: str) -> None:  # noqa: A002 - textual's name
        """No rows yet."""
        super().__init__(palette, id=id)
        self.empty = "no marks: m sets one, then n shows what is new since then"
        self._since: Mark | None = None

    def show(self, board: Board) -> None:
        """Show the marks of a board, the newest first."""
        self._since = board.since.mark if board.since is not None else None
        self.set_rows(list(reversed(board.marks)))

    def key_of(self, row: MarkRow) -> object:
        """See RowList."""
        return row.key

    def text_of(self, row: MarkRow) -> str:
        """See RowList."""
        return printable(row.mark.name)

    def head(self, width: int) -> Cells:
        """See RowList."""
        return [
            ("   MARK".ljust(self._name_width(width)), self.palette.head),
            ("AGE".rjust(_NUMBER), self.palette.head),
            ("LINES".rjust(_NUMBER), self.palette.head),
            ("NEW SINCE".rjust(_NUMBER), self.palette.head),
        ]

    def draw(self, row: MarkRow, width: int) -> Cells:
        """See RowList."""
        is_chosen = row.mark == self._since
        age = duration((time.time_ns() - row.mark.at_ns) / 1e9)
        name = f"{' > ' if is_chosen else '   '}{printable(row.mark.name)}"
        return [
            (fitted(name, self._name_width(width)),
             self.palette.strong if is_chosen else self.palette.text),
            (age.rjust(_NUMBER), self.palette.dim),
            (count(row.lines).rjust(_NUMBER), self.palette.dim),
            (f"+{count(row.new)}".rjust(_NUMBER), self.palette.good),
        ]  # fmt: skip

    def details(self) -> list[Cells]:
        """See RowList."""
        row = self.current
        if row is None:
            return [[], []]
        at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(row.mark.at_ns / 1e9))
        return [
            [
                (f" {printable(row.mark.name)}", self.palette.text),
                (f"  set at {at}", self.palette.dim),
            ],
            [(" Enter shows the files and lines that are new since this mark", self.palette.dim)],
        ]

    @staticmethod
    def _name_width(width: int) -> int:
        return max(8, width - 3 * _NUMBER)
