"""The highlighted sources that were looked at last, in a bounded amount of memory."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Final

    from covsup.views.sources.highlight import HighlightedSource

    Stamp = tuple[int, int, int] | None

_MOST_PIECES: Final = 150_000
"""About 20 MiB. The newest source stays, whatever its size."""


class RecentHighlights:
    """Highlighted sources by path, each with the stamp of the file that it was made of."""

    def __init__(self, most_pieces: int = _MOST_PIECES) -> None:
        """`most_pieces` bounds the sum over all sources."""
        self._most = most_pieces
        self._lock = threading.Lock()
        self._known: OrderedDict[str, tuple[Stamp, HighlightedSource]] = OrderedDict()
        self._sizes: dict[str, int] = {}

    def get(self, path: str) -> tuple[Stamp, HighlightedSource] | None:
        """The stamp and the source, if they are still known."""
        with self._lock:
            known = self._known.get(path)
            if known is not None:
                self._known.move_to_end(path)
            return known

    def put(self, path: str, stamp: Stamp, source: HighlightedSource) -> None:
        """Keep a source, and drop those that were not looked at for the longest time."""
        with self._lock:
            self._known[path] = (stamp, source)
            self._known.move_to_end(path)
            self._sizes[path] = sum(map(len, source.lines)) + len(source.lines)
            while len(self._known) > 1 and sum(self._sizes.values()) > self._most:
                oldest, _ = self._known.popitem(last=False)
                del self._sizes[oldest]
