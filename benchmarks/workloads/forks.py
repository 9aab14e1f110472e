"""Forked children that run a few lines and exit with os._exit."""

from __future__ import annotations

import os


def child(number: int) -> int:
    total = 0
    for value in range(200):
        if value % 3:
            total += number
    return total % 7


def work() -> None:
    for number in range(200):
        pid = os.fork()
        if pid == 0:
            os._exit(child(number))
        _, status = os.waitpid(pid, 0)
        assert os.waitstatus_to_exitcode(status) < 7
