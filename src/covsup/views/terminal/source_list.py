"""A source file, in which lines change their colour as they run."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from textual.binding import Binding

from covsup.views.terminal.cells import count, expanded, fitted_path, percent
from covsup.views.terminal.row_list import RowList

if TYPE_CHECKING:
    from rich.style import Style
    from textual.binding import BindingType

    from covsup.views.terminal.line_widget import Cells
    from covsup.views.terminal.palette import Palette
    from covsup.views.terminal.pictures import LineStory, SourcePicture

_AROUND: Final = 3
"""So many lines around a new line are shown where only new lines are."""

_STEP: Final = 8
"""Columns to scroll sideways at once."""

_MARGIN_CELLS: Final = 2
"""The number and the sign of a line."""

GAP: Final = 0
"""In place of a line number: lines are left out here."""


class SourceList(RowList[int]):
    """The lines of a source file. A row is a line's number."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right,l", "sideways(1)", show=False),
        Binding("left", "sideways(-1)", show=False),
        Binding("right_square_bracket", "next_marked(1)", show=False),
        Binding("left_square_bracket", "next_marked(-1)", show=False),
    ]

    def __init__(self, palette: Palette, *, id: str) -> None:  # noqa: A002 - textual's name
        """No file yet."""
        super().__init__(palette, id=id)
        self.picture: SourcePicture | None = None
        self.story: LineStory | None = None
        self.empty = "choose a file in the list of files"
        self._left = 0

    def show(self, picture: SourcePicture) -> None:
        """Show a file, or the same file with more lines."""
        before, self.picture = self.picture, picture
        is_other = before is None or before.path != picture.path
        if is_other:
            self.story, self._left, self.rows, self.cursor, self.top = None, 0, (), 0, 0
        self.empty = picture.problem or "the source is being read"
        self.set_rows(_rows(picture))
        if is_other or (before is not None and (before.only is None) != (picture.only is None)):
            self._go_to_first_interesting(picture)

    def show_story(self, story: LineStory) -> None:
        """Show who ran the line under the cursor."""
        self.story = story

    @property
    def line(self) -> int:
        """The line under the cursor. 0: none."""
        return self.current or 0

    def key_of(self, row: int) -> object:
        """See RowList."""
        return row if row != GAP else None

    def text_of(self, row: int) -> str:
        """See RowList."""
        return "".join(text for _, text in self._pieces(row))

    def head(self, width: int) -> Cells:
        """See RowList."""
        picture, palette = self.picture, self.palette
        if picture is None:
            return [("", palette.head)]
        row = picture.row
        numbers = ""
        if row is not None and row.percent is not None:
            numbers = f"{percent(row.percent)}  {count(row.executed)}/{count(row.statements)} lines"
            if row.branches and width >= 70:
                taken = row.branches - row.missing_branches
                numbers += f"  {count(taken)}/{count(row.branches)} branches"
        room = max(8, width - len(numbers) - 2)
        return [
            (" " + fitted_path(picture.name, room), palette.strong),
            (numbers, palette.accent),
            (" ", palette.head),
        ]

    def draw(self, row: int, width: int) -> Cells:
        """See RowList."""
        picture, palette = self.picture, self.palette
        if picture is None:
            return []
        digits = max(4, len(str(len(picture.pieces))))
        if row == GAP:
            return [("┄" * (digits + 2), palette.dim)]
        sign, gutter, style = self._state(picture, row)
        cells: Cells = [
            (f"{row:>{digits}} ", palette.dim if not sign.strip() else gutter),
            (sign, gutter),
            (" ", style),
        ]
        at, skipped, room = 0, self._left, width - digits - 3
        for kind, text in self._pieces(row):
            at += len(text)
            if skipped >= len(text):
                skipped -= len(text)
                continue
            token = palette.token_style(kind)
            cells.append((text[skipped:], style if token is None else token + style))
            skipped = 0
        if room > 0:
            cells.append((" " * max(0, room - max(0, at - self._left)), style))
        return cells

    def under_cursor(self, row: int, cells: Cells, over: Style) -> Cells:
        """See RowList. A line that has just run keeps its colour."""
        if self.picture is None or row not in self.picture.fresh:
            return [(text, style + over) for text, style in cells]
        return [*((text, style + over) for text, style in cells[:_MARGIN_CELLS]),
                *cells[_MARGIN_CELLS:]]  # fmt: skip

    def details(self) -> list[Cells]:
        """See RowList."""
        picture, palette, line = self.picture, self.palette, self.line
        if picture is None or not line:
            return [[], []]
        bit = 1 << line
        first: Cells = [(f" line {line}: ", palette.dim)]
        if line in picture.missing_branches:
            ends = _places(picture.missing_branches[line])
            first.append((f"never went to {ends}.  ", palette.warn))
        if picture.executed & bit:
            return self._who_ran_it(picture.path, line, first)
        if picture.missing & bit:
            first.append(("it never ran", palette.bad))
        elif picture.excluded & bit:
            first.append(("it is excluded from coverage", palette.dim))
        else:
            first.append(("no statement", palette.dim))
        return [first, []]

    def _who_ran_it(self, path: str, line: int, first: Cells) -> list[Cells]:
        palette, story = self.palette, self.story
        if story is None or (story.path, story.line) != (path, line) or not story.first:
            return [[*first, ("it ran", palette.good)], []]
        others = ", later by others, too" if story.others else ""
        first.append((f"first run by {story.first}{others}", palette.good))
        if not story.contexts:
            return [first, []]
        more = f" and {count(story.more_contexts)} more" if story.more_contexts else ""
        number = len(story.contexts) + story.more_contexts
        label = f" {count(number)} context{'' if number == 1 else 's'}: "
        return [first, [(label, palette.dim), (", ".join(story.contexts) + more, palette.text)]]

    def action_sideways(self, by: int) -> None:
        """Scroll sideways."""
        self._left = max(0, self._left + by * _STEP)
        self.redraw()

    def action_next_marked(self, step: int) -> None:
        """Go to the next line that is missing or partial; of new lines, to the next new one."""
        picture = self.picture
        if picture is None:
            return
        wanted = self._interesting(picture)
        index = self.cursor + step
        while 0 <= index < len(self.rows):
            line, before = self.rows[index], self.rows[index - 1] if index else GAP
            # Of lines that follow each other it is the first.
            if line != GAP and wanted >> line & 1 and not (before != GAP and wanted >> before & 1):
                self.move_to(index)
                return
            index += step

    def _pieces(self, line: int) -> list[tuple[str, str]]:
        picture = self.picture
        if picture is None or not 0 < line <= len(picture.pieces):
            return []
        pieces = picture.pieces[line - 1]
        if not any("\t" in text for _, text in pieces):
            return list(pieces)
        # A tab ends at a column of the whole line, not of its piece.
        whole, made = "", []
        for kind, text in pieces:
            before = len(expanded(whole))
            whole += text
            made.append((kind, expanded(whole)[before:]))
        return made

    def _state(  # noqa: PLR0911 - one for each state of a line
        self, picture: SourcePicture, line: int
    ) -> tuple[str, Style, Style]:
        """The sign in the margin of a line, its style, and the style of the line."""
        palette, bit, signs = self.palette, 1 << line, self.palette.margin
        plain = (" ", palette.dim, palette.line_plain)
        if picture.only is not None and not picture.only & bit:
            return plain
        if picture.executed & bit:
            if line in picture.fresh:
                return signs.executed, palette.gutter_executed, palette.line_fresh
            if line in picture.missing_branches and picture.only is None:
                return signs.partial, palette.gutter_partial, palette.line_partial
            return signs.executed, palette.gutter_executed, palette.line_executed
        if picture.missing & bit:
            return signs.missing, palette.gutter_missing, palette.line_missing
        if picture.excluded & bit:
            return signs.excluded, palette.gutter_excluded, palette.line_excluded
        return plain

    @staticmethod
    def _interesting(picture: SourcePicture) -> int:
        if picture.only is not None:
            return picture.only
        partial = sum(1 << line for line in picture.missing_branches)
        return picture.missing | partial

    def _go_to_first_interesting(self, picture: SourcePicture) -> None:
        """Of new lines, begin at the first one."""
        if picture.only:
            lowest = (picture.only & -picture.only).bit_length() - 1
            if lowest in self.rows:
                self.move_to(list(self.rows).index(lowest))


def _rows(picture: SourcePicture) -> list[int]:
    """The numbers of the lines to show. GAP stands for lines that are left out."""
    last = len(picture.pieces)
    if picture.only is None:
        return list(range(1, last + 1))
    shown = [
        line
        for line in range(1, last + 1)
        if picture.only >> max(0, line - _AROUND) & ((1 << 2 * _AROUND + 1) - 1)
    ]
    rows: list[int] = []
    for line in shown:
        if rows and rows[-1] != line - 1:
            rows.append(GAP)
        rows.append(line)
    return rows


def _places(ends: tuple[int, ...]) -> str:
    return " and ".join("the exit" if end < 0 else f"line {end}" for end in ends)
