"""A widget that draws lines, and sends only those to the terminal that look different now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.segment import Segment
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

if TYPE_CHECKING:
    from rich.style import Style

Cells = list[tuple[str, "Style"]]
"""A line as texts with styles, from left to right."""


class LineWidget(Widget):
    """Draws itself line by line."""

    drawn: list[Strip]

    def draw_line(self, y: int) -> Strip:
        """Draw a line."""
        raise NotImplementedError

    def redraw(self) -> None:
        """Draw again, and show the lines that differ."""
        if not self.size:
            return
        before, self.drawn = getattr(self, "drawn", []), self._lines()
        if len(before) != len(self.drawn):
            self.refresh()
            return
        for y, strip in enumerate(self.drawn):
            if strip != before[y]:
                self.refresh(Region(0, y, self.size.width, 1))

    def render_line(self, y: int) -> Strip:
        """Give a line that was drawn. textual's name."""
        drawn = getattr(self, "drawn", [])
        if len(drawn) != self.size.height or (drawn and drawn[0].cell_length != self.size.width):
            drawn = self.drawn = self._lines()
        return drawn[y] if y < len(drawn) else Strip.blank(self.size.width)

    def _lines(self) -> list[Strip]:
        return [self.draw_line(y) for y in range(self.size.height)]


def strip_of(cells: Cells, width: int, base: Style) -> Strip:
    """Cells as a strip of this width, on a base style."""
    segments = [Segment(text, base + style) for text, style in cells if text]
    return Strip(segments).adjust_cell_length(width, base)
