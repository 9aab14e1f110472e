"""Hot branches that go one way, then the other."""

from __future__ import annotations


def work() -> None:
    low = middle = high = odd = 0
    for number in range(2_000_000):
        rest = number % 7
        if rest < 2:
            low += 1
        elif rest < 5:
            middle += 1
        else:
            high += 1
        if number & 1:
            odd += 1
    assert low + middle + high == 2 * odd
