"""Taking turns: one combination at a time writes a data file or takes a session apart."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time

from covsup.datafile.session.places import SESSIONS
from covsup.hints import TYPE_CHECKING
from covsup.supervisor.combining.inputs import InputUnusable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import Final

_SILENT_WAIT_SECONDS: Final = 1.0
"""A wait that nobody need be told of: most combinations are over sooner."""

_POLL_SECONDS: Final = 0.02


@contextlib.contextmanager
def locked(directory: Path, waiting: Callable[[Path], None] | None = None) -> Iterator[bool]:
    """Hold a directory against other combinations; gives whether we had to wait for one.

    `waiting` is called if we wait for long; of several processes that wait for the same directory at
    the same time one does it. The lock goes with the process, however that ends, and leaves no file behind.
    """
    try:
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        # Another combination has taken it; or the data file's directory is yet to be complained of.
        yield False
        return
    except OSError as error:
        raise InputUnusable(f"cannot open {directory}: {error.strerror or error}") from error
    with contextlib.ExitStack() as stack:
        stack.callback(os.close, descriptor)
        waited = not _is_free(descriptor)
        if waited and not _is_soon_free(descriptor):
            # Until our own combination is done: those that come meanwhile need not speak.
            if stack.enter_context(_reporter_of_wait(directory)) and waiting is not None:
                waiting(directory)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield waited


def _is_free(descriptor: int) -> bool:
    """Take the lock if nobody has it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_soon_free(descriptor: int) -> bool:
    """Take the lock if whoever has it gives it back in a short time."""
    until = time.monotonic() + _SILENT_WAIT_SECONDS
    while time.monotonic() < until:
        time.sleep(_POLL_SECONDS)
        if _is_free(descriptor):
            return True
    return False


@contextlib.contextmanager
def _reporter_of_wait(directory: Path) -> Iterator[bool]:
    """Whether we are the one who speaks for all that wait for `directory`: who holds a lock of the
    sessions' directory beside the data file. Where there is none, each speaks for itself."""
    try:
        descriptor = os.open(directory / SESSIONS, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        yield True
        return
    try:
        yield _is_free(descriptor)
    finally:
        os.close(descriptor)


def version_of(path: Path) -> tuple[int, int] | None:
    """What changes when a file is replaced."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_mtime_ns
