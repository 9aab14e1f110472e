"""Numbers: the power method on a matrix whose elements are computed when they are needed."""

from __future__ import annotations

from math import sqrt


def element(row: int, column: int) -> float:
    """Return one element of an infinite matrix."""
    diagonal = row + column
    return 1.0 / (diagonal * (diagonal + 1) / 2 + row + 1)


def times(vector: list[float], *, transposed: bool) -> list[float]:
    """Multiply the matrix, or its transpose, by a vector."""
    size = len(vector)
    result = []
    for row in range(size):
        total = 0.0
        for column in range(size):
            if transposed:
                total += element(column, row) * vector[column]
            else:
                total += element(row, column) * vector[column]
        result.append(total)
    return result


def norm(size: int, rounds: int) -> float:
    """Approximate the spectral norm."""
    vector = [1.0] * size
    for _ in range(rounds):
        image = times(times(vector, transposed=False), transposed=True)
        longest = max(image)
        vector = [each / longest for each in image]
    image = times(vector, transposed=False)
    return sqrt(sum(each * each for each in image) / sum(each * each for each in vector))


if __name__ == "__main__":
    print(f"{norm(350, 25):.6f}")
