"""How things look: with all colours, with the terminal's own 16, and without any.

Colour is never the only sign. Without colours, letters in the margin say the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.style import Style

from covsup.hints import NamedTuple
from covsup.views.terminal.cells import ascii_bar, bar

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Final


class Margin(NamedTuple):
    """The signs in the margin of a source."""

    executed: str
    missing: str
    partial: str
    excluded: str


class Palette(NamedTuple):
    """Styles by their meaning."""

    name: str
    background: str  # of the screen, for textual's CSS
    in_ascii: bool
    margin: Margin
    text: Style
    dim: Style
    strong: Style
    title: Style  # the first row
    tab: Style
    tab_active: Style
    head: Style  # column heads
    head_sorted: Style
    cursor: Style  # added to the row under the cursor
    cursor_elsewhere: Style  # the same, in a list that does not have the keys
    good: Style
    bad: Style
    warn: Style
    accent: Style
    running: Style
    unmeasured: Style
    bar_good: Style
    bar_middle: Style
    bar_bad: Style
    bar_accent: Style
    bar_rest: Style
    spark: Style
    found: Style  # a match of the search
    key: Style  # keys in the help line
    key_text: Style
    line_executed: Style
    line_fresh: Style
    line_missing: Style
    line_partial: Style
    line_excluded: Style
    line_plain: Style
    gutter_executed: Style
    gutter_missing: Style
    gutter_partial: Style
    gutter_excluded: Style
    tokens: Mapping[str, Style]  # by the beginning of pygments' short name

    def token_style(self, kind: str) -> Style | None:
        """The style of a piece of source. None: as other text."""
        while kind:
            if kind in self.tokens:
                return self.tokens[kind]
            kind = kind[:-1]
        return None

    def bar(self, percent: float, width: int) -> list[tuple[str, Style]]:
        """A bar for a percentage, in `width` cells."""
        if percent >= 80:
            style = self.bar_good
        else:
            style = self.bar_middle if percent >= 50 else self.bar_bad
        return self.plain_bar(percent / 100, width, style)

    def plain_bar(self, share: float, width: int, style: Style) -> list[tuple[str, Style]]:
        """A bar for a share between 0 and 1, in a style."""
        if self.in_ascii:
            return [(ascii_bar(share, width), style)]
        filled, rest = bar(share, width)
        return [(filled, style), (rest, self.bar_rest)]


_BARS: Final = Margin(executed="▌", missing="▌", partial="▌", excluded="┊")
_LETTERS: Final = Margin(executed=">", missing="!", partial="~", excluded="-")
"""As `coverage annotate` writes them."""

FULL: Final = Palette(
    name="full",
    background="#11151c",
    in_ascii=False,
    margin=_BARS,
    text=Style.parse("#d3d9e3 on #11151c"),
    dim=Style.parse("#78839a on #11151c"),
    strong=Style.parse("bold #f4f6fa on #11151c"),
    title=Style.parse("#d3d9e3 on #1b2230"),
    tab=Style.parse("#98a4bb on #161b25"),
    tab_active=Style.parse("bold #0c1016 on #7fd1a5"),
    head=Style.parse("#78839a on #11151c"),
    head_sorted=Style.parse("bold #7fd1a5 on #11151c"),
    cursor=Style.parse("on #26344d"),
    cursor_elsewhere=Style.parse("on #1a2231"),
    good=Style.parse("#7fd1a5"),
    bad=Style.parse("#f07a7a"),
    warn=Style.parse("#e8c268"),
    accent=Style.parse("#7db4f2"),
    running=Style.parse("#7fd1a5"),
    unmeasured=Style.parse("bold #ff6b6b"),
    bar_good=Style.parse("#4fae7c"),
    bar_middle=Style.parse("#d3a94a"),
    bar_bad=Style.parse("#cf5d5d"),
    bar_accent=Style.parse("#5f97d8"),
    bar_rest=Style.parse("#364259"),
    spark=Style.parse("#7fd1a5"),
    found=Style.parse("bold #11151c on #e8c268"),
    key=Style.parse("bold #7fd1a5 on #1b2230"),
    key_text=Style.parse("#b6c0d2 on #1b2230"),
    line_executed=Style.parse("on #12271c"),
    line_fresh=Style.parse("on #1f6b40"),
    line_missing=Style.parse("on #33191d"),
    line_partial=Style.parse("on #312810"),
    line_excluded=Style.parse("#78839a on #11151c"),
    line_plain=Style.parse("on #11151c"),
    gutter_executed=Style.parse("#4fce86"),
    gutter_missing=Style.parse("#f06a6a"),
    gutter_partial=Style.parse("#e8c268"),
    gutter_excluded=Style.parse("#566078"),
    tokens={
        "k": Style.parse("#c99df0"),
        "ow": Style.parse("#c99df0"),
        "s": Style.parse("#e0b686"),
        "c": Style.parse("italic #7d889c"),
        "m": Style.parse("#e89a72"),
        "nf": Style.parse("#7db4f2"),
        "nc": Style.parse("#7db4f2"),
        "nd": Style.parse("#e8c268"),
        "nb": Style.parse("#6fc6cf"),
        "o": Style.parse("#a9b4c8"),
    },
)

COLORS_256: Final = FULL._replace(
    background="#1c1c1c",
    text=Style.parse("color(252) on color(234)"),
    dim=Style.parse("color(245) on color(234)"),
    strong=Style.parse("bold color(231) on color(234)"),
    title=Style.parse("color(252) on color(237)"),
    tab=Style.parse("color(248) on color(236)"),
    tab_active=Style.parse("bold color(234) on color(115)"),
    head=Style.parse("color(245) on color(234)"),
    head_sorted=Style.parse("bold color(115) on color(234)"),
    cursor=Style.parse("on color(24)"),
    cursor_elsewhere=Style.parse("on color(236)"),
    bar_rest=Style.parse("color(239)"),
    key=Style.parse("bold color(115) on color(237)"),
    key_text=Style.parse("color(250) on color(237)"),
    line_executed=Style.parse("on color(234)"),
    line_fresh=Style.parse("on color(22)"),
    line_missing=Style.parse("on color(52)"),
    line_partial=Style.parse("on color(58)"),
    line_excluded=Style.parse("color(243) on color(234)"),
    line_plain=Style.parse("on color(234)"),
)
"""The tints of FULL are too dark for a terminal of 256 colours: it would make them black."""

SIXTEEN: Final = Palette(
    name="sixteen",
    background="ansi_default",
    in_ascii=False,
    margin=_BARS,
    text=Style.parse("default"),
    dim=Style.parse("dim"),
    strong=Style.parse("bold"),
    title=Style.parse("reverse"),
    tab=Style.parse("default"),
    tab_active=Style.parse("bold black on green"),
    head=Style.parse("dim underline"),
    head_sorted=Style.parse("bold underline green"),
    cursor=Style.parse("reverse"),
    cursor_elsewhere=Style.parse("bold"),
    good=Style.parse("green"),
    bad=Style.parse("red"),
    warn=Style.parse("yellow"),
    accent=Style.parse("cyan"),
    running=Style.parse("green"),
    unmeasured=Style.parse("bold red"),
    bar_good=Style.parse("green"),
    bar_middle=Style.parse("yellow"),
    bar_bad=Style.parse("red"),
    bar_accent=Style.parse("cyan"),
    bar_rest=Style.parse("bright_black"),
    spark=Style.parse("green"),
    found=Style.parse("black on yellow"),
    key=Style.parse("default"),
    key_text=Style.parse("black on cyan"),
    line_executed=Style.parse("green"),
    line_fresh=Style.parse("bold black on green"),
    line_missing=Style.parse("red"),
    line_partial=Style.parse("yellow"),
    line_excluded=Style.parse("dim"),
    line_plain=Style.parse("default"),
    gutter_executed=Style.parse("green"),
    gutter_missing=Style.parse("bold red"),
    gutter_partial=Style.parse("bold yellow"),
    gutter_excluded=Style.parse("dim"),
    tokens={},
)

NONE: Final = SIXTEEN._replace(
    name="none",
    in_ascii=True,
    margin=_LETTERS,
    tab_active=Style.parse("reverse bold"),
    head_sorted=Style.parse("bold underline"),
    found=Style.parse("reverse bold"),
    key=Style.parse("default"),
    key_text=Style.parse("reverse"),
    line_fresh=Style.parse("bold"),
    line_executed=Style.parse("default"),
    line_missing=Style.parse("default"),
    line_partial=Style.parse("default"),
    unmeasured=Style.parse("bold"),
)
