"""Many short threads, a few at a time."""

from __future__ import annotations

import threading


def job(results: list[int], number: int) -> None:
    total = 0
    for value in range(600):
        if value & 1:
            total += value
        else:
            total -= number
    results.append(total)


def work() -> None:
    results: list[int] = []
    for batch in range(600):
        threads = [threading.Thread(target=job, args=(results, batch)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(results) == 2400
