"""Straight-line code in a hot loop."""

from __future__ import annotations


def work() -> None:
    total = 0
    for number in range(1_000_000):
        a = number + 1
        b = a * 3
        c = b - number
        d = c ^ a
        e = d & 1023
        f = e + b
        total = total + f
    assert total
