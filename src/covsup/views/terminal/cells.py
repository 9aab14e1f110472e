"""Cells of a terminal: texts that fit, bars, sparklines, numbers.

Every text that a program or a file name determines goes through `printable`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.cells import cell_len, set_cell_size

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Final

_HEIGHTS: Final = "▁▂▃▄▅▆▇█"
_ASCII_HEIGHTS: Final = ".:-=+*#@"
_TAB: Final = 8


def printable(text: str) -> str:
    """`text` in one row, without a character that would control the terminal.

    Control characters, lone surrogates and marks that change the direction of writing become escapes.
    """
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode("ascii")
        for each in text
    )


def expanded(text: str) -> str:
    """A line of source: tabs become spaces."""
    return text.expandtabs(_TAB) if "\t" in text else text


def fitted(text: str, width: int, cut: str = "…") -> str:
    """A printable text in exactly `width` cells. A longer one loses its end."""
    if width <= 0:
        return ""
    if cell_len(text) <= width:
        return set_cell_size(text, width)
    return set_cell_size(text, width - len(cut)) + cut if width > len(cut) else cut[:width]


def fitted_path(text: str, width: int, cut: str = "…") -> str:
    """A printable path in exactly `width` cells. A longer one loses its beginning."""
    over = cell_len(text) - width
    if over <= 0:
        return fitted(text, width, cut)
    kept = text
    while kept and cell_len(kept) > width - len(cut):
        kept = kept[1:]
    return fitted(cut + kept, width, cut)


def bar(share: float, width: int) -> tuple[str, str]:
    """A thin bar of `width` cells: its filled part and the rest. `share` is between 0 and 1."""
    halves = round(min(max(share, 0.0), 1.0) * width * 2)
    if share < 1.0:
        # A bar is only full when nothing is missing.
        halves = min(halves, width * 2 - 1)
    full, half = divmod(halves, 2)
    return "━" * full + "╸" * half, "━" * (width - full - half)


def ascii_bar(share: float, width: int) -> str:
    """The same in ASCII."""
    full = int(min(max(share, 0.0), 1.0) * width)
    return "#" * full + "." * (width - full)


def grouped(counts: Sequence[int], width: int) -> list[int]:
    """Counts added up to at most `width` groups of the same size. The last one is complete."""
    if width <= 0 or not counts:
        return []
    size = -(-len(counts) // width)
    begin = len(counts) % size
    groups = [counts[:begin]] if begin else []
    groups += [counts[at : at + size] for at in range(begin, len(counts), size)]
    return [sum(group) for group in groups]


def sparkline(counts: Sequence[int], width: int, *, in_ascii: bool = False) -> str:
    """The last `width` counts as heights, relative to the largest of them. 0 is a blank."""
    heights = _ASCII_HEIGHTS if in_ascii else _HEIGHTS
    shown = list(counts)[-width:] if width > 0 else []
    most = max(shown, default=0)
    drawn = "".join(
        heights[min(len(heights) - 1, each * len(heights) // (most + 1))] if each > 0 else " "
        for each in shown
    )
    return drawn.rjust(width)


def percent(value: float | None) -> str:
    """A percentage in 6 cells. 100 and 0 only where it is exact."""
    if value is None:
        return "     -"
    text = f"{value:.1f}"
    if text == "100.0":
        text = "100" if value >= 100 else "99.9"
    elif text == "0.0" and value > 0:
        text = "0.1"
    return f"{text}%".rjust(6)


def duration(seconds: float) -> str:
    """A duration in at most 6 cells."""
    whole = max(0, int(seconds))
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02}s"
    if whole < 24 * 3600:
        return f"{whole // 3600}h{whole % 3600 // 60:02}m"
    return f"{whole // 86400}d{whole % 86400 // 3600:02}h"


def clock(seconds: float) -> str:
    """A duration as hours, minutes and seconds."""
    whole = max(0, int(seconds))
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"


def count(number: int) -> str:
    """A number with separators, or in thousands where it is long."""
    return f"{number:,}" if number < 1_000_000 else f"{number / 1_000_000:.1f}M"
