"""The rows of contexts, with the number of lines that ran in each."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from covsup.views.web.data.rows import Context

if TYPE_CHECKING:
    from collections.abc import Iterable

    from covsup.views.model.view import View


class ContextRows:
    """The row of each context, by its number."""

    def __init__(self) -> None:
        """Without contexts."""
        self._labels: list[str] = []
        self._numbers: dict[str, int] = {}
        self._counts: list[int] = []
        self._of_file: dict[str, dict[str, int]] = {}  # by path and label: how many lines

    def update(self, view: View, paths: Iterable[str]) -> list[Context]:
        """Count the lines of files again. Gives the rows that changed."""
        grown: dict[str, int] = defaultdict(int)
        for path in sorted(paths):
            before = self._of_file.get(path, {})
            now = {label: bits.bit_count() for label, bits in view.contexts_of(path).items()}
            for label, count in now.items():
                if more := count - before.get(label, 0):
                    grown[label] += more
            if now:
                self._of_file[path] = now
        for label, more in grown.items():
            if label not in self._numbers:
                self._numbers[label] = len(self._labels)
                self._labels.append(label)
                self._counts.append(0)
            self._counts[self._numbers[label]] += more
        return [self._row(self._numbers[label]) for label in grown]

    def rows(self) -> list[Context]:
        """All rows, by number."""
        return [self._row(number) for number in range(len(self._labels))]

    def number(self, label: str) -> int:
        """The number of a known label."""
        return self._numbers[label]

    def label(self, number: int) -> str | None:
        """The label with a number, or None."""
        return self._labels[number] if 0 <= number < len(self._labels) else None

    def _row(self, number: int) -> Context:
        return Context(id=number, label=self._labels[number], lines=self._counts[number])
