"""The help: all keys on one screen of 80x24."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from textual.binding import Binding
from textual.screen import ModalScreen

from covsup.views.terminal.line_widget import LineWidget, strip_of

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.binding import BindingType
    from textual.strip import Strip

    from covsup.views.terminal.line_widget import Cells
    from covsup.views.terminal.palette import Palette

TEXT: Final = (
    ("", ""),
    ("1 2 3 4 5, Tab", "processes, files, source, contexts, marks"),
    ("up down PgUp PgDn g G", "move; so do j k, Space b, Home End and the mouse"),
    ("Enter", "a file: its source; a process or context: its lines"),
    ("", "alone; a mark: what is new since it"),
    ("Esc", "back: end the search, show all lines, the list before"),
    ("/", "search; then n and N: next, previous match, until Esc"),
    ("F3, Shift+F3", "next and previous match, at any time"),
    ("s S", "sort by the next column; the other way round"),
    ("m", "set a mark: give this moment a name"),
    ("n", "show only what is new since the last mark, or all"),
    ("] [", "source: next, previous line that is missing (or new)"),
    ("left right", "source: scroll sideways"),
    ("f", "follow: always show the lines that run right now"),
    ("q", "quit; the program goes on"),
    ("", ""),
)

MARGIN: Final = (
    ("executed", "it ran"),
    ("missing", "it never ran"),
    ("partial", "it ran, but not each branch that begins there"),
    ("excluded", "it is excluded from coverage"),
)


class HelpScreen(ModalScreen[None]):
    """All keys. Any key closes it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark,enter,space,f1,h", "dismiss", show=False)
    ]

    def __init__(self, palette: Palette) -> None:
        """Show the signs of this palette."""
        super().__init__()
        self._palette = palette

    def compose(self) -> ComposeResult:
        """The one widget."""
        yield HelpText(self._palette)


class HelpText(LineWidget):
    """The text."""

    DEFAULT_CSS = """
    HelpText { width: 1fr; height: 1fr; }
    """

    def __init__(self, palette: Palette) -> None:
        """Use this palette."""
        super().__init__()
        self._palette = palette

    def draw_line(self, y: int) -> Strip:
        """See LineWidget."""
        palette, width = self._palette, self.size.width
        cells: Cells = []
        if y == 0:
            return strip_of([(" covsup top: keys and signs", palette.title)], width, palette.title)
        if y <= len(TEXT):
            key, text = TEXT[y - 1]
            cells = [(f" {key:<23}", palette.good), (text, palette.text)]
        elif y <= len(TEXT) + len(MARGIN):
            name, text = MARGIN[y - len(TEXT) - 1]
            sign, style = getattr(palette.margin, name), getattr(palette, f"gutter_{name}")
            cells = [(f" {sign:<23}", style), (text, palette.text)]
        return strip_of(cells, width, palette.text)
