"""The list of processes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from covsup.views.terminal.cells import count, duration, fitted, grouped, printable, sparkline
from covsup.views.terminal.pictures import ProcessRow
from covsup.views.terminal.row_list import RowList
from covsup.views.terminal.sorting import Column, Sorting

if TYPE_CHECKING:
    from rich.style import Style

    from covsup.views.terminal.line_widget import Cells
    from covsup.views.terminal.palette import Palette
    from covsup.views.terminal.pictures import Board, Describing

_PID: Final = 8
_AGE: Final = 7
_END: Final = 9
_FIRST: Final = 7
_LINES: Final = 8
_WIDE: Final = 110
"""From this width on there are more columns."""


class ProcessList(RowList[ProcessRow]):
    """The tree of processes: what each was the first to execute, and how it ended."""

    def __init__(self, palette: Palette, describing: Describing, *, id: str) -> None:  # noqa: A002
        """No rows yet."""
        super().__init__(palette, id=id)
        self.empty = "waiting for the first process"
        self.sorting = Sorting[ProcessRow](
            [
                Column("tree", None),
                Column("first", lambda row: row.first, descending=True),
                Column("age", lambda row: row.started_ns, descending=True),
                Column("pid", lambda row: row.pid),
                Column("state", lambda row: (not row.reason, not row.is_running, row.end)),
            ]
        )
        self._describing = describing
        self._board: Board | None = None

    def show(self, board: Board) -> None:
        """Show the processes of a board."""
        self._board = board
        self.set_rows(self.sorting.apply(board.processes))

    def key_of(self, row: ProcessRow) -> object:
        """See RowList."""
        return row.key

    def text_of(self, row: ProcessRow) -> str:
        """See RowList."""
        return f"{row.pid} {printable(' '.join(row.argv))} {row.end} {row.reason}"

    def head(self, width: int) -> Cells:
        """See RowList."""
        cells: Cells = [
            (" " * _PID, self.palette.head),
            (" PROGRAM".ljust(self._program_width(width)), self._head_style("tree")),
        ]
        cells[0] = ("PID".rjust(_PID), self._head_style("pid"))
        if width >= _WIDE:
            cells.append(("LINES".rjust(_LINES), self.palette.head))
        cells += [
            ("FIRST".rjust(_FIRST), self._head_style("first")),
            ("AGE".rjust(_AGE), self._head_style("age")),
            ("  " + "STATE".ljust(_END), self._head_style("state")),
            ("LAST MINUTE", self.palette.head),
        ]
        return cells

    def draw(self, row: ProcessRow, width: int) -> Cells:
        """See RowList."""
        palette = self.palette
        is_tree = self.sorting.column.key is None
        guide = row.guide if is_tree else ""
        room = self._program_width(width)
        guide = guide if len(guide) <= room // 2 else f"…{guide[-room // 3 :]}"
        style = self._style(row)
        head: Cells = [(f"{row.pid:>{_PID}} ", palette.dim), (guide, palette.dim)]
        if row.reason:
            # The reason takes the place of the columns: there is nothing to put there.
            left = room - 1 - len(guide)
            name = self._describing.short_command(row.argv, max(left, 8)) or "?"
            rest = width - _PID - room
            return [
                *head,
                (fitted(name, left), palette.unmeasured),
                (fitted(f"  not measured: {row.reason}", rest), palette.unmeasured),
            ]
        left = room - 1 - len(guide)
        command = self._describing.short_command(row.argv, max(left, 1)) or "?"
        cells = [*head, (fitted(command, left), style)]
        if width >= _WIDE:
            cells.append((f"{count(row.lines) if row.image_id else '':>{_LINES}}", palette.dim))
        cells += [
            (f"{count(row.first) if row.first else '':>{_FIRST}}", palette.accent),
            (f"{self._age(row):>{_AGE}}", palette.dim),
            ("  " + fitted(row.end, _END), self._end_style(row)),
            (self._spark(row, width), palette.spark),
        ]
        return cells

    def details(self) -> list[Cells]:
        """See RowList."""
        row, palette = self.current, self.palette
        if row is None:
            return [[], []]
        room = self.app.size.width - len(f" {row.how} {row.pid} ") - 1
        first: Cells = [
            (f" {row.how} " if row.how else " ", palette.dim),
            (f"{row.pid} ", palette.accent),
            (self._describing.short_command(row.argv, max(8, room)), palette.text),
        ]
        if row.reason:
            return [first, [(f" not measured: {row.reason}", palette.unmeasured)]]
        lines = f"{count(row.lines)} lines, {count(row.first)} of them first here"
        return [first, [(f" {lines if row.image_id else 'needs no measurement'}", palette.accent),
                        (f"  {row.details}", palette.dim)]]  # fmt: skip

    def _program_width(self, width: int) -> int:
        fixed = _PID + _FIRST + _AGE + _END + 2 + self._spark_width(width)
        return max(12, width - fixed - (_LINES if width >= _WIDE else 0))

    @staticmethod
    def _spark_width(width: int) -> int:
        return 30 if width >= _WIDE else 12

    def _head_style(self, name: str) -> Style:
        is_sorted = self.sorting.column.name == name
        return self.palette.head_sorted if is_sorted else self.palette.head

    def _style(self, row: ProcessRow) -> Style:
        if row.is_program:
            return self.palette.dim
        return self.palette.text if row.is_running else self.palette.dim

    def _end_style(self, row: ProcessRow) -> Style:
        if row.was_killed:
            return self.palette.bad
        return self.palette.running if row.is_running else self.palette.dim

    def _age(self, row: ProcessRow) -> str:
        if row.ended_ns:
            return duration((row.ended_ns - row.started_ns) / 1e9)
        return duration((time.time_ns() - row.started_ns) / 1e9) if row.is_running else ""

    def _spark(self, row: ProcessRow, width: int) -> str:
        if self._board is None:
            return ""
        counts = self._board.history_of.get(row.image_id, ())
        room = self._spark_width(width)
        return sparkline(grouped(counts, room), room, in_ascii=self.palette.in_ascii)
