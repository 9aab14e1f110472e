"""Descriptors of the files that a view reads again and again, as many as the limit allows."""

from __future__ import annotations

import contextlib
import os
import resource
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_SPARE: Final = 128
"""Descriptors that are left to the rest of the process: sources, sockets, the terminal."""


class Descriptors:
    """How many descriptors a view may hold. The soft limit is raised when it is reached."""

    def __init__(self) -> None:
        """Hold none."""
        self._held = 0
        self._limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]

    def take(self) -> bool:
        """Whether one more may be held. Call `give_back` when it is closed."""
        if self._held + _SPARE >= self._limit and not self._raise_limit():
            return False
        self._held += 1
        return True

    def give_back(self) -> None:
        """One that was held is closed."""
        self._held -= 1

    def _raise_limit(self) -> bool:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = max(4096, 2 * soft)
        wanted = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        if wanted > soft:
            with contextlib.suppress(OSError, ValueError):
                resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
                soft = wanted
        self._limit = soft
        return self._held + _SPARE < soft


class HeldFile:
    """A file that is read in pieces. It is opened for each piece where no descriptor can be held."""

    __slots__ = ("_descriptors", "_fd", "_open")

    def __init__(self, descriptors: Descriptors, open_file: Callable[[], int]) -> None:
        """`open_file` gives a new descriptor of the file. What it raises, `read` raises."""
        self._descriptors = descriptors
        self._open = open_file
        self._fd = -1

    def read(self, size: int, offset: int) -> bytes:
        """Bytes of the file, fewer at its end. Raises OSError."""
        if self._fd >= 0:
            return os.pread(self._fd, size, offset)
        fd = self._open()
        if self._descriptors.take():
            self._fd = fd
            return os.pread(fd, size, offset)
        try:
            return os.pread(fd, size, offset)
        finally:
            os.close(fd)

    def close(self) -> None:
        """Close it. It may be read again afterwards."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
            self._descriptors.give_back()
