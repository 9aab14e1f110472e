"""Match the lines of two versions of a text."""

from __future__ import annotations

from difflib import SequenceMatcher
from typing import TYPE_CHECKING

from covsup.datafile.fold.sets import line_set_of, lines_in

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from covsup.datafile.fold.sets import Arc, LineSet


class LineMap:
    """Where each line of an old text is in a new one. Lines that changed are nowhere."""

    def __init__(self, to_new: Mapping[int, int] | None = None) -> None:
        """`to_new` is by old line; None: both texts are the same."""
        self._to_new = to_new

    @property
    def is_same(self) -> bool:
        """Whether every line stays where it is."""
        return self._to_new is None

    def lines(self, old: LineSet) -> LineSet:
        """These lines of the old text, as far as they are in the new one."""
        to_new = self._to_new
        if to_new is None:
            return old
        return line_set_of({to_new[line] for line in lines_in(old) if line in to_new})

    def arcs(self, old: Iterable[Arc]) -> set[Arc]:
        """These arcs of the old text, as far as both lines are in the new one."""
        if self._to_new is None:
            return set(old)
        return {
            (new_start, new_end)
            for start, end in old
            if (new_start := self._end(start)) and (new_end := self._end(end))
        }

    def kept(self) -> LineSet | None:
        """The lines of the new text that are in the old one; None = all."""
        return None if self._to_new is None else line_set_of(set(self._to_new.values()))

    def _end(self, line: int) -> int:
        """A line; negative: the code object that begins there. 0 = it is not in the new text."""
        assert self._to_new is not None
        return self._to_new.get(line, 0) if line > 0 else -self._to_new.get(-line, 0)


def map_of_texts(old: bytes, new: bytes) -> LineMap:
    """The map from one text to the other."""
    if old == new:
        return LineMap()
    olds, news = _lines_of(old), _lines_of(new)
    first = 0  # most of a file is the same, and the matcher takes quadratic time
    while first < min(len(olds), len(news)) and olds[first] == news[first]:
        first += 1
    last = 0
    while last < min(len(olds), len(news)) - first and olds[-1 - last] == news[-1 - last]:
        last += 1
    to_new = {line: line for line in range(1, first + 1)}
    for at in range(last):
        to_new[len(olds) - at] = len(news) - at
    matcher = SequenceMatcher(
        None, olds[first : len(olds) - last], news[first : len(news) - last], autojunk=False
    )
    for block in matcher.get_matching_blocks():
        for at in range(block.size):
            to_new[first + block.a + at + 1] = first + block.b + at + 1
    return LineMap(to_new)


def _lines_of(text: bytes) -> list[bytes]:
    return [line.rstrip(b"\r") for line in text.split(b"\n")]
