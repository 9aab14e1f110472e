"""What a result says of each file, united over contexts and processes."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from covsup.datafile.fold.result import Kind, Result
from covsup.datafile.fold.sets import arcs_in, line_set_of, unite_arcs
from covsup.datafile.journal.by_value_names import is_sent_code

if TYPE_CHECKING:
    from covsup.datafile.fold.sets import ArcSet, LineSet


class FactsByFile:
    """The lines and arcs of each file."""

    def __init__(self, result: Result | None = None) -> None:
        """The facts of `result`; none without one."""
        result = result or Result()
        self.has_arcs = result.kind is Kind.ARCS
        self.lines: dict[str, LineSet] = defaultdict(int)
        self.arcs: dict[str, ArcSet] = {}
        self.contexts: dict[str, dict[str, LineSet]] = defaultdict(dict)
        self.first_counts: dict[str, int] = defaultdict(int)
        for (path, label), bits in result.lines.items():
            self._add(path, label, bits)
        for (path, label), arcs in result.arcs.items():
            self._add(
                path, label, line_set_of({end for arc in arcs_in(arcs) for end in arc if end > 0})
            )
            if not is_sent_code(path):
                self.arcs[path] = unite_arcs(self.arcs.get(path, b""), arcs)
        for by_image in result.first.values():
            for (_, image_id), bits in by_image.items():
                self.first_counts[image_id] += bits.bit_count()

    def _add(self, path: str, label: str, bits: LineSet) -> None:
        if not is_sent_code(path):
            self.lines[path] |= bits
            self.contexts[path][label] = self.contexts[path].get(label, 0) | bits
