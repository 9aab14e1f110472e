"""The rows of the context list, kept up to date file by file."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from covsup.views.terminal.pictures import ContextRow

if TYPE_CHECKING:
    from collections.abc import Collection

    from covsup.views.model.view import View


class ContextRows:
    """A row for each context."""

    def __init__(self, view: View) -> None:
        """No rows yet."""
        self._view = view
        self._by_path: dict[str, dict[str, int]] = {}
        self._lines: dict[str, int] = defaultdict(int)
        self._files: dict[str, int] = defaultdict(int)

    def update(self, changed: Collection[str]) -> None:
        """Count the lines of changed files again."""
        for path in changed:
            for label, number in self._by_path.get(path, {}).items():
                self._lines[label] -= number
                self._files[label] -= 1
            counts = {
                label: bits.bit_count()
                for label, bits in self._view.contexts_of(path).items()
                if bits
            }
            for label, number in counts.items():
                self._lines[label] += number
                self._files[label] += 1
            self._by_path[path] = counts

    def rows(self) -> list[ContextRow]:
        """All rows, in the order in which the contexts appeared."""
        return [
            ContextRow(key=label, lines=number, files=self._files[label], order=order)
            for order, (label, number) in enumerate(self._lines.items())
            if number
        ]
