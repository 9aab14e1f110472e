"""The rows at the bottom: details of the row under the cursor, and the help line or a question."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.message import Message

from covsup.views.terminal.cells import printable
from covsup.views.terminal.line_widget import LineWidget, strip_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual import events
    from textual.strip import Strip

    from covsup.views.terminal.line_widget import Cells
    from covsup.views.terminal.palette import Palette


class Details(LineWidget):
    """Two rows about the row under the cursor."""

    DEFAULT_CSS = """
    Details { height: 2; width: 1fr; dock: bottom; offset-y: -1; }
    """

    def __init__(self, palette: Palette) -> None:
        """Nothing is known yet."""
        super().__init__()
        self._palette = palette
        self._cells: list[Cells] = [[], []]

    def show(self, lines: list[Cells]) -> None:
        """Show these two rows."""
        if lines != self._cells:
            self._cells = lines
            self.redraw()

    def draw_line(self, y: int) -> Strip:
        """See LineWidget."""
        base = self._palette.title if self._palette.name == "full" else self._palette.text
        background = base.background_style
        cells = self._cells[y] if y < len(self._cells) else []
        return strip_of(
            [(text, style + background) for text, style in cells], self.size.width, base
        )


class HelpLine(LineWidget):
    """The keys that matter now, or a message."""

    DEFAULT_CSS = """
    HelpLine { height: 1; width: 1fr; dock: bottom; }
    """

    def __init__(self, palette: Palette) -> None:
        """No keys yet."""
        super().__init__()
        self._palette = palette
        self._keys: Sequence[tuple[str, str]] = ()
        self._message = ""

    def show(self, keys: Sequence[tuple[str, str]], message: str = "") -> None:
        """Show these keys, each with what it does, or a message."""
        if (keys, message) != (self._keys, self._message):
            self._keys, self._message = keys, message
            self.redraw()

    def draw_line(self, y: int) -> Strip:  # noqa: ARG002 - it has one line
        """See LineWidget."""
        palette, width = self._palette, self.size.width
        if self._message:
            message = f" {printable(self._message)}"
            return strip_of([(message, palette.warn)], width, palette.key_text)
        cells: Cells = []
        used = 0
        for key, text in self._keys:
            if used + len(key) + len(text) + 3 > width:
                break
            cells += [(f" {key}", palette.key), (f" {text} ", palette.key_text)]
            used += len(key) + len(text) + 3
        base = palette.key if palette.name == "full" else palette.text
        return strip_of(cells, width, base)


class Question(LineWidget, can_focus=True):
    """A line of input in the last row. Enter answers, Escape does not."""

    class Changed(Message):
        """The text is another one."""

        def __init__(self, kind: str, text: str) -> None:
            """`kind` is that of the question."""
            super().__init__()
            self.kind = kind
            self.text = text

    class Answered(Changed):
        """The user is done."""

    class Given(Message):
        """The user gave up the question."""

        def __init__(self, kind: str) -> None:
            """`kind` is that of the question."""
            super().__init__()
            self.kind = kind

    DEFAULT_CSS = """
    Question { height: 1; width: 1fr; dock: bottom; display: none; }
    """

    def __init__(self, palette: Palette) -> None:
        """No question is asked."""
        super().__init__()
        self._palette = palette
        self._kind = ""
        self._prompt = ""
        self._hint = ""
        self._text = ""

    def ask(self, kind: str, prompt: str, hint: str) -> None:
        """Ask. `hint` says what an empty answer means."""
        self._kind, self._prompt, self._hint, self._text = kind, prompt, hint, ""
        self.display = True
        self.focus()
        self.redraw()

    def draw_line(self, y: int) -> Strip:  # noqa: ARG002 - it has one line
        """See LineWidget."""
        palette = self._palette
        cells = [
            (f" {self._prompt} ", palette.head_sorted),
            (printable(self._text), palette.strong),
            (" ", palette.found),
            (f" {self._hint}" if not self._text else "", palette.dim),
        ]
        return strip_of(cells, self.size.width, palette.text)

    def on_key(self, event: events.Key) -> None:
        """Take a key."""
        event.stop()
        event.prevent_default()
        if event.key == "escape":
            self.display = False
            self.post_message(self.Given(self._kind))
        elif event.key == "enter":
            self.display = False
            self.post_message(self.Answered(self._kind, self._text))
        else:
            if event.key == "backspace":
                self._text = self._text[:-1]
            elif event.key == "ctrl+u":
                self._text = ""
            elif event.character and event.is_printable:
                self._text += event.character
            self.redraw()
            self.post_message(self.Changed(self._kind, self._text))

    def on_paste(self, event: events.Paste) -> None:
        """Take a pasted text: its first line."""
        event.stop()
        self._text += "".join(each for each in event.text.partition("\n")[0] if each.isprintable())
        self.redraw()
        self.post_message(self.Changed(self._kind, self._text))
