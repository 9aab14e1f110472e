"""A search for a text in rows."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from covsup.hints import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.style import Style


class Search(NamedTuple):
    """A text that is searched for. Without capital letters it matches them, too."""

    text: str

    def __bool__(self) -> bool:
        """Whether anything is searched for."""
        return bool(self.text)

    def matches(self, text: str) -> bool:
        """Whether a row has it."""
        return bool(self.text) and self._folded(text).find(self.text) >= 0

    def places(self, text: str) -> Iterator[tuple[int, int]]:
        """Where it is in a text: begin and end."""
        folded = self._folded(text)
        if len(folded) != len(text):
            return  # lower case is longer in some scripts; places would be wrong
        begin = folded.find(self.text)
        while begin >= 0:
            yield begin, begin + len(self.text)
            begin = folded.find(self.text, begin + len(self.text))

    def _folded(self, text: str) -> str:
        return text.lower() if self.text == self.text.lower() else text


def with_matches(
    cells: list[tuple[str, Style]], search: Search, found: Style
) -> list[tuple[str, Style]]:
    """The cells of a row, with the matches in another style."""
    whole = "".join(text for text, _ in cells)
    places = list(search.places(whole))
    if not places:
        return cells
    edges = sorted({edge for place in places for edge in place})
    marked, at = [], 0
    for text, style in cells:
        cuts = [at, *(edge for edge in edges if at < edge < at + len(text)), at + len(text)]
        for begin, end in pairwise(cuts):
            is_found = any(first <= begin and end <= last for first, last in places)
            part = text[begin - at : end - at]
            marked.append((part, style + found if is_found else style))
        at += len(text)
    return marked
