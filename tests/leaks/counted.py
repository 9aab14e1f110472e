"""What many calls of a function leave behind: objects, references, memory of C, descriptors.

Each number is of this process alone and of nothing else that the machine does, so that it does not
depend on how busy that is. tracemalloc does not see what C allocates with malloc(); glibc's
mallinfo2() does.
"""

from __future__ import annotations

import ctypes
import gc
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ATTEMPTS = 60
"""A cache or a larger table that is made once and kept is not a leak: it does not grow in each round.

Tables that know objects by their addresses grow until all addresses have come. subprocess alone takes
up to ten rounds for that, on a busy machine more."""


class _Mallinfo2(ctypes.Structure):
    _fields_ = [
        (name, ctypes.c_size_t)
        for name in ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks",
                     "uordblks", "fordblks", "keepcost")
    ]  # fmt: skip


class _Mallinfo(ctypes.Structure):
    """Of glibc before 2.33."""

    _fields_ = [(field[0], ctypes.c_int) for field in _Mallinfo2._fields_]


def _mallinfo() -> Callable[[], _Mallinfo2 | _Mallinfo] | None:
    libc = ctypes.CDLL(None)
    for name, kind in ("mallinfo2", _Mallinfo2), ("mallinfo", _Mallinfo):
        function = getattr(libc, name, None)
        if function is not None:
            function.restype = kind
            return function  # type: ignore[no-any-return]
    return None


_MALLINFO = _mallinfo()


def _memory() -> int:
    """Bytes that malloc() gave and that were not freed; 0 where it cannot be asked."""
    if _MALLINFO is None:
        return 0
    found = _MALLINFO()
    return int(found.uordblks + found.hblkhd)


def _entries(path: str) -> int:
    with suppress(OSError):
        return len(os.listdir(path))  # noqa: PTH208 - a Path makes objects of its own
    return 0


def _mappings() -> int:
    with suppress(OSError), open("/proc/self/maps", "rb") as file:  # noqa: PTH123 - as above
        return file.read().count(b"\n")
    return 0


# What there is to count, and how much of each is a leak if each of `calls` calls leaves some. A
# block of malloc() is at least 16 bytes.
PER_CALL = {
    "references": 1,
    "blocks of Python's allocator": 1,
    "bytes of malloc()": 16,
    "descriptors": 1,
    "mappings": 1,
}


def _counts(watched: Sequence[object]) -> dict[str, int]:
    gc.collect()
    total = getattr(sys, "gettotalrefcount", None)  # a debug build's
    return {
        "references": total() if total is not None else sum(map(sys.getrefcount, watched)),
        "blocks of Python's allocator": sys.getallocatedblocks(),
        "bytes of malloc()": _memory(),
        "descriptors": _entries("/proc/self/fd"),
        "mappings": _mappings(),
    }


def leaks(
    function: Callable[[], object],
    calls: int,
    watched: Sequence[object] = (),
    attempts: int = ATTEMPTS,
) -> dict[str, int]:
    """What the calls leave behind each time, in every one of the attempts; empty if nothing.

    `watched` are objects whose references are counted where Python does not count all. A leak in
    half of the calls is seen; what grows now and then (a table that is doubled) is not one.
    """
    for _ in range(max(3, calls // 10)):
        function()
    least: dict[str, int] = {}
    for _ in range(attempts):
        before = _counts(watched)
        for _ in range(calls):
            function()
        after = _counts(watched)
        grown = {
            name: after[name] - before[name]
            for name, size in PER_CALL.items()
            if after[name] - before[name] >= size * calls // 2
        }
        least = {
            name: min(much, least.get(name, much))
            for name, much in grown.items()
            if not least or name in least
        }
        if not least:
            break
    return least
