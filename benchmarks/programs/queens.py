"""A search: every way to place queens that do not attack each other, with recursive generators."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class Board:
    """The occupied columns and diagonals."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.columns: set[int] = set()
        self.rising: set[int] = set()
        self.falling: set[int] = set()

    def is_free(self, row: int, column: int) -> bool:
        if column in self.columns:
            return False
        if row + column in self.rising:
            return False
        return row - column not in self.falling

    def place(self, row: int, column: int) -> None:
        self.columns.add(column)
        self.rising.add(row + column)
        self.falling.add(row - column)

    def lift(self, row: int, column: int) -> None:
        self.columns.remove(column)
        self.rising.remove(row + column)
        self.falling.remove(row - column)


def solutions(board: Board, row: int = 0) -> Iterator[list[int]]:
    """Yield the columns of each solution from this row on."""
    if row == board.size:
        yield []
        return
    for column in range(board.size):
        if not board.is_free(row, column):
            continue
        board.place(row, column)
        for rest in solutions(board, row + 1):
            yield [column, *rest]
        board.lift(row, column)


if __name__ == "__main__":
    print(sum(1 for _ in solutions(Board(12))))
