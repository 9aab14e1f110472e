"""A pipeline of generators."""

from __future__ import annotations

from collections.abc import Iterable, Iterator


def numbers(count: int) -> Iterator[int]:
    number = 0
    while number < count:
        yield number
        number += 1


def even(source: Iterable[int]) -> Iterator[int]:
    for number in source:
        if number % 2 == 0:
            yield number


def pairs(source: Iterable[int]) -> Iterator[tuple[int, int]]:
    previous = 0
    for number in source:
        yield previous, number
        previous = number


def work() -> None:
    total = 0
    for first, second in pairs(even(numbers(1_500_000))):
        total += second - first
    assert total
