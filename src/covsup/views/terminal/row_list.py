"""A list of rows with a cursor, of which only the rows in sight are drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar

from textual.binding import Binding
from textual.message import Message
from textual.strip import Strip

from covsup.views.terminal.line_widget import Cells, LineWidget, strip_of
from covsup.views.terminal.search import Search, with_matches

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.style import Style
    from textual import events
    from textual.binding import BindingType

    from covsup.views.terminal.palette import Palette

Row = TypeVar("Row")


class RowList(LineWidget, Generic[Row], can_focus=True):
    """Rows below a head. The cursor stays on its row, and in its place, when rows come and go."""

    class Moved(Message):
        """The cursor is on another row, or other rows are in sight."""

    class Opened(Message):
        """The user chose the row under the cursor."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", show=False),
        Binding("down,j", "move(1)", show=False),
        Binding("pageup,b,ctrl+b", "page(-1)", show=False),
        Binding("pagedown,space,ctrl+f", "page(1)", show=False),
        Binding("home,g", "first", show=False),
        Binding("end,G", "last", show=False),
        Binding("enter", "open", show=False),
    ]

    DEFAULT_CSS = """
    RowList { width: 1fr; height: 1fr; }
    """

    def __init__(self, palette: Palette, *, id: str) -> None:  # noqa: A002 - textual's name
        """No rows yet."""
        super().__init__(id=id)
        self.palette = palette
        self.rows: Sequence[Row] = ()
        self.cursor = 0
        self.top = 0
        self.search = Search("")
        self.empty = ""
        """The text where there are no rows."""

    # What a list of some kind of row is.

    def key_of(self, row: Row) -> object:
        """What identifies a row."""
        raise NotImplementedError

    def text_of(self, row: Row) -> str:
        """The text of a row that a search looks at."""
        raise NotImplementedError

    def head(self, width: int) -> Cells:
        """The first line."""
        raise NotImplementedError

    def draw(self, row: Row, width: int) -> Cells:
        """A row in `width` cells."""
        raise NotImplementedError

    def details(self) -> list[Cells]:
        """Two lines about the row under the cursor."""
        raise NotImplementedError

    def under_cursor(self, row: Row, cells: Cells, over: Style) -> Cells:  # noqa: ARG002 - a hook
        """The cells of the row under the cursor, with its style over theirs."""
        return [(text, style + over) for text, style in cells]

    # Rows.

    @property
    def current(self) -> Row | None:
        """The row under the cursor."""
        return self.rows[self.cursor] if self.cursor < len(self.rows) else None

    @property
    def visible_rows(self) -> Sequence[Row]:
        """The rows in sight."""
        return self.rows[self.top : self.top + self._height]

    def set_rows(self, rows: Sequence[Row]) -> None:
        """Show these. The cursor follows its row, and the row keeps its place on the screen."""
        before = self.current
        self.rows = rows
        if before is not None:
            key, offset = self.key_of(before), self.cursor - self.top
            if not (self.cursor < len(rows) and self.key_of(rows[self.cursor]) == key):
                for index, row in enumerate(rows):
                    if self.key_of(row) == key:
                        self.cursor, self.top = index, index - offset
                        break
        self._clamp()
        self.redraw()

    def move_to(self, index: int) -> None:
        """Put the cursor on a row, and bring it into sight."""
        self.cursor = index
        self._clamp()
        self.redraw()
        self.post_message(self.Moved())

    def find(self, search: Search, start: int, step: int) -> bool:
        """Move to the next row that matches, from `start` on and around the end."""
        self.search = search
        total = len(self.rows)
        for distance in range(total):
            index = (start + step * distance) % total
            if search.matches(self.text_of(self.rows[index])):
                self.move_to(index)
                return True
        self.redraw()
        return False

    # Drawing.

    @property
    def _height(self) -> int:
        return max(1, self.size.height - 1)

    def _clamp(self) -> None:
        last = max(0, len(self.rows) - 1)
        self.cursor = min(max(self.cursor, 0), last)
        self.top = max(min(self.top, self.cursor, len(self.rows) - self._height), 0)
        self.top = max(self.top, self.cursor - self._height + 1)

    def draw_line(self, y: int) -> Strip:
        """See LineWidget."""
        width, base = self.size.width, self.palette.text
        room = max(1, width - 1)  # the last column is the scroll bar's
        if y == 0:
            return strip_of(self.head(room), width, base)
        index = self.top + y - 1
        if not self.rows and y == 2 and self.empty:
            return strip_of([("  " + self.empty, self.palette.dim)], width, base)
        if index >= len(self.rows):
            return strip_of([], width, base)
        cells = self.draw(self.rows[index], room)
        if index == self.cursor:
            palette = self.palette
            over = palette.cursor if self.has_focus else palette.cursor_elsewhere
            cells = self.under_cursor(self.rows[index], cells, over)
            base += over
        if self.search:
            cells = with_matches(cells, self.search, self.palette.found)
        strip = strip_of(cells, room, base)
        bar = strip_of(
            [(self._scroll_bar(y - 1), self.palette.dim)], width - room, self.palette.text
        )
        return Strip.join([strip, bar])

    def _scroll_bar(self, y: int) -> str:
        height, total = self._height, len(self.rows)
        if total <= height:
            return " "
        size = max(1, height * height // total)
        begin = (height - size) * self.top // max(1, total - height)
        return "▐" if begin <= y < begin + size else " "

    # Keys and mouse.

    def action_move(self, by: int) -> None:
        """Move by rows."""
        self.move_to(self.cursor + by)

    def action_page(self, by: int) -> None:
        """Move by pages."""
        self.top += by * self._height
        self.move_to(self.cursor + by * self._height)

    def action_first(self) -> None:
        """Go to the first row."""
        self.move_to(0)

    def action_last(self) -> None:
        """Go to the last row."""
        self.move_to(len(self.rows) - 1)

    def action_open(self) -> None:
        """Choose the row."""
        if self.current is not None:
            self.post_message(self.Opened())

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Scroll."""
        event.stop()
        self.action_move(3)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Scroll."""
        event.stop()
        self.action_move(-3)

    def on_click(self, event: events.Click) -> None:
        """Put the cursor there; a second click chooses the row."""
        index = self.top + event.y - 1
        if event.y < 1 or index >= len(self.rows):
            return
        was_there = index == self.cursor
        self.move_to(index)
        if was_there:
            self.action_open()

    def on_resize(self) -> None:
        """Keep the cursor in sight."""
        self._clamp()
        self.drawn = []
        self.refresh()
        self.post_message(self.Moved())

    def on_focus(self) -> None:
        """Show the cursor."""
        self.redraw()

    def on_blur(self) -> None:
        """Hide the cursor."""
        self.redraw()
