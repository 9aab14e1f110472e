"""How many lines were new in each second, in all processes and in each: for sparklines."""

from __future__ import annotations

from collections import defaultdict, deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

SECONDS: Final = 600
"""How far back the history of all processes goes."""

IMAGE_SECONDS: Final = 120
"""How far back the history of one process image goes."""

_SECOND_NS: Final = 1_000_000_000


class History:
    """Counts of new lines by second. Old ones are forgotten."""

    def __init__(self) -> None:
        """Begin without counts."""
        self._all: deque[list[int]] = deque()
        self._by_image: defaultdict[str, deque[list[int]]] = defaultdict(deque)

    def add(self, at_ns: int, by_image: Mapping[str, int]) -> None:
        """Add the lines that each image, by id, was found to have executed first of all."""
        second = at_ns // _SECOND_NS
        if total := sum(by_image.values()):
            _add(self._all, second, total, SECONDS)
        for image_id, count in by_image.items():
            _add(self._by_image[image_id], second, count, IMAGE_SECONDS)

    def counts(self, seconds: int, until_ns: int, image_id: str | None = None) -> list[int]:
        """The new lines of each of the last seconds up to `until_ns`, the oldest first.

        Of all processes, or of the image with this id. 0 where the history does not go so far back.
        """
        of = self._all if image_id is None else self._by_image.get(image_id, ())
        first = until_ns // _SECOND_NS - seconds + 1
        counts = [0] * seconds
        for second, count in of:
            if first <= second < first + seconds:
                counts[second - first] += count
        return counts


def _add(counts: deque[list[int]], second: int, count: int, seconds: int) -> None:
    if counts and counts[-1][0] == second:
        counts[-1][1] += count
    else:
        counts.append([second, count])
    while counts[0][0] <= second - seconds:
        counts.popleft()
