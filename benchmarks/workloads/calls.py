"""Small functions that call each other."""

from __future__ import annotations


def fibonacci(number: int) -> int:
    if number < 2:
        return number
    return fibonacci(number - 1) + fibonacci(number - 2)


def work() -> None:
    assert fibonacci(31) == 1346269
