"""The list of sessions to choose from."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, ClassVar, Final

from textual.app import App
from textual.binding import Binding

from covsup.hints import NamedTuple
from covsup.views.terminal.cells import duration, fitted, printable
from covsup.views.terminal.footer import Details, HelpLine
from covsup.views.terminal.row_list import RowList
from covsup.views.terminal.start import choose_palette

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from textual.app import ComposeResult
    from textual.binding import BindingType

    from covsup.views.terminal.line_widget import Cells
    from covsup.views.terminal.palette import Palette

_TIME: Final = 17
_STATE: Final = 22


class SessionRow(NamedTuple):
    """A session to choose."""

    path: Path
    started_ns: int
    command: tuple[str, ...]
    runs: bool
    processes: int  # measured ones that run


def choose_session(
    rows: Sequence[SessionRow], short_command: Callable[[Sequence[str], int], str]
) -> Path | None:
    """The session that the user chooses. None: the user quit."""
    return ChooserApp(rows, short_command, choose_palette()).run()


class SessionList(RowList[SessionRow]):
    """The sessions."""

    def __init__(
        self, palette: Palette, short_command: Callable[[Sequence[str], int], str]
    ) -> None:
        """`short_command` gives a command line in a number of cells."""
        super().__init__(palette, id="sessions")
        self._short_command = short_command

    def key_of(self, row: SessionRow) -> object:
        """See RowList."""
        return row.path

    def text_of(self, row: SessionRow) -> str:
        """See RowList."""
        return printable(" ".join(row.command))

    def head(self, width: int) -> Cells:
        """See RowList."""
        command = " COMMAND".ljust(max(8, width - _TIME - _STATE))
        return [
            (" STARTED".ljust(_TIME), self.palette.head),
            ("STATE".ljust(_STATE), self.palette.head),
            (command, self.palette.head),
        ]

    def draw(self, row: SessionRow, width: int) -> Cells:
        """See RowList."""
        room = max(8, width - _TIME - _STATE)
        age = duration((time.time_ns() - row.started_ns) / 1e9)
        at = time.strftime("%H:%M:%S", time.localtime(row.started_ns / 1e9))
        state = "ended"
        if row.runs:
            state = f"running, {row.processes} process{'' if row.processes == 1 else 'es'}"
        style = self.palette.running if row.runs else self.palette.dim
        command = self._short_command(row.command, room - 1) if row.command else "(opened by env)"
        return [
            (fitted(f" {at} {age:>6}", _TIME), self.palette.dim),
            (fitted(state, _STATE), style),
            (" " + fitted(command, room - 1), self.palette.text),
        ]

    def details(self) -> list[Cells]:
        """See RowList."""
        row = self.current
        if row is None:
            return [[], []]
        return [
            [(f" {printable(str(row.path))}", self.palette.text)],
            [(f" {printable(' '.join(row.command))}", self.palette.dim)],
        ]


class ChooserApp(App["Path | None"]):
    """Lists sessions, and gives the one that is chosen."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("q,escape,f10", "leave", show=False)]
    ENABLE_COMMAND_PALETTE = False
    CSS = "SessionList { margin-bottom: 1; }"

    def __init__(
        self,
        rows: Sequence[SessionRow],
        short_command: Callable[[Sequence[str], int], str],
        palette: Palette,
    ) -> None:
        """Show these, in this order."""
        super().__init__(ansi_color=palette.name != "full")
        self._rows = rows
        self._short_command = short_command
        self._palette = palette

    def compose(self) -> ComposeResult:
        """The list, and the rows at the bottom."""
        yield SessionList(self._palette, self._short_command)
        yield Details(self._palette)
        yield HelpLine(self._palette)

    def on_mount(self) -> None:
        """Fill the list."""
        if self._palette.name != "full":
            self.theme = "ansi-dark"
        self.screen.styles.background = self._palette.background
        sessions = self.query_one(SessionList)
        sessions.set_rows(self._rows)
        sessions.focus()
        self.query_one(HelpLine).show([("Enter", "Show"), ("q", "Quit")])
        self.on_row_list_moved()

    def on_row_list_moved(self) -> None:
        """Other details."""
        details = self.query_one(SessionList).details()
        self.query_one(Details).show(details)

    def on_row_list_opened(self) -> None:
        """Give the session."""
        row = self.query_one(SessionList).current
        if row is not None:
            self.exit(row.path)

    def action_leave(self) -> None:
        """Give none."""
        self.exit(None)
