"""Hot branches that only ever go one way."""

from __future__ import annotations


def work() -> None:
    total = 0
    limit = 10_000_000
    for number in range(2_000_000):
        if number > limit:
            total -= 1
        if number < 0:
            total -= 2
        if total > limit:
            total = 0
        if number is None:
            total = 0
        total += 1
    assert total
