"""The columns by which a list can be sorted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

Row = TypeVar("Row")


class Column(Generic[Row]):
    """A column, and how it is sorted."""

    def __init__(
        self, name: str, key: Callable[[Row], object] | None, *, descending: bool = False
    ) -> None:
        """`key` is None where the rows keep their order. `descending` is its usual direction."""
        self.name = name
        self.key = key
        self.descending = descending


class Sorting(Generic[Row]):
    """Which column sorts the rows now."""

    def __init__(self, columns: Sequence[Column[Row]]) -> None:
        """By the first column."""
        self._columns = columns
        self._at = 0
        self._is_reversed = False

    @property
    def column(self) -> Column[Row]:
        """The column."""
        return self._columns[self._at]

    @property
    def name(self) -> str:
        """The column's name, with its direction."""
        return f"{self.column.name}{'' if self.column.key is None else self.arrow}"

    @property
    def arrow(self) -> str:
        """The direction."""
        return "↓" if self.column.descending != self._is_reversed else "↑"

    def next(self) -> None:
        """Sort by the next column."""
        self._at = (self._at + 1) % len(self._columns)
        self._is_reversed = False

    def reverse(self) -> None:
        """Sort the other way round."""
        self._is_reversed = not self._is_reversed

    def apply(self, rows: Iterable[Row]) -> list[Row]:
        """The rows in order."""
        key = self.column.key
        if key is None:
            return list(rows)[:: -1 if self._is_reversed else 1]
        return sorted(rows, key=key, reverse=self.column.descending != self._is_reversed)  # type: ignore[arg-type]
