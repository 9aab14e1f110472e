"""Two greenlets that switch to each other, with some lines between the switches."""

from __future__ import annotations

import greenlet


def work() -> None:
    def ping() -> None:
        total = 0
        for number in range(400_000):
            total += number
            if total & 1:
                total += 1
            second.switch(number)
        assert total

    def pong(number: int) -> None:
        while True:
            doubled = number * 2
            number = first.switch(doubled)

    first = greenlet.greenlet(ping)
    second = greenlet.greenlet(pong)
    first.switch()
