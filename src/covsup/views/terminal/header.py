"""The three rows at the top: what is shown, how much of it ran, and the tabs."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from rich.cells import cell_len
from textual.message import Message

from covsup.views.terminal.cells import (
    clock,
    count,
    fitted,
    grouped,
    percent,
    printable,
    sparkline,
)
from covsup.views.terminal.line_widget import LineWidget, strip_of
from covsup.views.terminal.pictures import Board

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.style import Style
    from textual import events
    from textual.strip import Strip

    from covsup.views.terminal.line_widget import Cells
    from covsup.views.terminal.palette import Palette
    from covsup.views.terminal.pictures import Describing

RATE_SECONDS: Final = 5
"""New lines per second are those of the last seconds."""

TABS: Final[Mapping[str, str]] = {
    "processes": "Processes",
    "files": "Files",
    "source": "Source",
    "contexts": "Contexts",
    "marks": "Marks",
}


class Header(LineWidget):
    """The rows at the top."""

    class TabChosen(Message):
        """A tab was clicked."""

        def __init__(self, tab: str) -> None:
            """`tab` is a key of TABS."""
            super().__init__()
            self.tab = tab

    DEFAULT_CSS = """
    Header { height: 3; width: 1fr; dock: top; }
    """

    def __init__(self, palette: Palette, describing: Describing) -> None:
        """Nothing is known yet."""
        super().__init__()
        self.board = Board()
        self.tab = "processes"
        self.scope = ""
        self._palette = palette
        self._describing = describing
        self._edges: list[tuple[int, int, str]] = []

    def draw_line(self, y: int) -> Strip:
        """See LineWidget."""
        width = self.size.width
        draw = (self._title, self._totals, self._tabs)[min(y, 2)]
        base = (self._palette.title, self._palette.text, self._palette.tab)[min(y, 2)]
        return strip_of(draw(width), width, base)

    def _title(self, width: int) -> Cells:
        board, palette = self.board, self._palette
        state, style = self._state()
        elapsed = clock(self._elapsed()) if board.started_ns else ""
        right = f"{state}  {elapsed} "
        left = " covsup " + ("run " if board.is_run else " ")
        room = width - cell_len(left) - cell_len(right) - 1
        what = self._what(max(room, 8))
        return [
            (left, palette.strong + palette.title.background_style),
            (fitted(what, room) + " ", palette.title),
            (state, style),
            (f"  {elapsed} ", palette.title),
        ]

    def _what(self, room: int) -> str:
        board = self.board
        if board.command:
            return self._describing.short_command(board.command, room)
        return printable(board.place.name) if board.place is not None else ""

    def _state(self) -> tuple[str, Style]:
        board, palette = self.board, self._palette
        if board.problem:
            return "! cannot be read", palette.bad
        if board.place is None:
            return "opening", palette.dim
        if board.is_live:
            return "● running", palette.running
        return "■ ended", palette.warn

    def _elapsed(self) -> float:
        board = self.board
        if board.is_live:
            return (time.time_ns() - board.started_ns) / 1e9
        return max(0.0, (board.ended_ns - board.started_ns) / 1e9) if board.ended_ns else 0.0

    def _totals(self, width: int) -> Cells:
        board, palette, totals = self.board, self._palette, self.board.totals
        if board.problem:
            return [(f" {board.problem}", palette.bad)]
        value = totals.percent
        cells: Cells = [(percent(value), palette.strong), (" ", palette.text)]
        bar_width = 14 if width < 100 else 30
        cells += [*palette.bar(value or 0, bar_width), (" ", palette.text)]
        if totals.statements:
            cells.append((f" {count(totals.executed)}/{count(totals.statements)}", palette.text))
            cells.append((" lines", palette.dim))
        if totals.branches and width >= 76:
            cells.append((f" {count(totals.taken)}/{count(totals.branches)}", palette.text))
            cells.append((" br", palette.dim) if width < 100 else (" branches", palette.dim))
        if totals.analysed < totals.files:
            cells.append((f" {count(totals.analysed)}/{count(totals.files)}", palette.warn))
            cells.append((" files" if width < 100 else " files analysed", palette.warn))
        elif width >= 100:
            cells.append((f"  {count(totals.files)}", palette.text))
            cells.append((" files", palette.dim))
        if totals.unmeasured and width >= 100:
            cells.append((f"  {totals.unmeasured} not measured", palette.unmeasured))
        return _with_right_end(cells, self._movement(width), width, palette.text)

    def _movement(self, width: int) -> Cells:
        board, palette = self.board, self._palette
        if not board.is_live:
            return []
        recent = sum(board.history[-RATE_SECONDS:])
        rate = recent / RATE_SECONDS
        text = f"{rate:.0f}" if rate >= 10 else f"{rate:.1f}"
        spark_width = 10 if width < 100 else 30
        spark = sparkline(
            grouped(board.history, spark_width), spark_width, in_ascii=palette.in_ascii
        )
        return [
            (spark, palette.spark),
            (f" +{text}", palette.good if recent else palette.dim),
            ("/s ", palette.dim),
        ]

    def _tabs(self, width: int) -> Cells:
        palette, numbers, choice = self._palette, self._numbers(), self._choice()
        has_room = width >= (110 if choice else 76)
        cells: Cells = []
        self._edges = []
        at = 0
        for index, (tab, title) in enumerate(TABS.items(), 1):
            number = f" {numbers[tab]}" if has_room and numbers.get(tab) else ""
            text = f" {index} {title}{number} "
            cells.append((text, palette.tab_active if tab == self.tab else palette.tab))
            self._edges.append((at, at + len(text), tab))
            at += len(text)
        right: Cells = [(f" {choice} ", palette.warn)] if choice else []
        return _with_right_end(cells, right, width, palette.tab)

    def _numbers(self) -> dict[str, str]:
        board = self.board
        return {
            "processes": count(board.totals.processes),
            "files": count(len(board.new) if board.since else board.totals.files),
            "contexts": count(len([row for row in board.contexts if row.key]))
            if board.contexts
            else "",
            "marks": str(len(board.marks) or ""),
        }

    def _choice(self) -> str:
        parts = []
        if self.board.since is not None:
            parts.append(f"new since {printable(self.board.since.mark.name)}")
        if self.scope:
            parts.append(f"only {printable(self.scope)}")
        return ", ".join(parts)

    def on_click(self, event: events.Click) -> None:
        """Choose a tab."""
        for begin, end, tab in self._edges:
            if event.y == 2 and begin <= event.x < end:
                self.post_message(self.TabChosen(tab))


def _with_right_end(cells: Cells, right: Cells, width: int, style: Style) -> Cells:
    """Cells with others at the right end, which win where there is no room for both."""
    taken = sum(cell_len(text) for text, _ in right)
    room = width - taken
    kept: Cells = []
    for text, each in cells:
        if room <= 0:
            break
        part = text if cell_len(text) <= room else fitted(text, room)
        kept.append((part, each))
        room -= cell_len(part)
    return [*kept, (" " * max(0, room), style), *right]
