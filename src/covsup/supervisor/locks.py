"""Taking turns: one combination at a time writes a data file or takes a session apart."""

from __future__ import annotations

import contextlib
import fcntl
import os

from covsup.hints import TYPE_CHECKING
from covsup.supervisor.inputs import InputUnusable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@contextlib.contextmanager
def locked(directory: Path, waiting: Callable[[Path], None] | None = None) -> Iterator[bool]:
    """Hold a directory against other combinations; gives whether we had to wait for one.

    `waiting` is called before we wait. The lock goes with the process, however that ends, and leaves no file behind.
    """
    try:
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        # Another combination has taken it; or the data file's directory is yet to be complained of.
        yield False
        return
    except OSError as error:
        raise InputUnusable(f"cannot open {directory}: {error.strerror or error}") from error
    try:
        waited = False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waited = True
            if waiting is not None:
                waiting(directory)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield waited
    finally:
        os.close(descriptor)


def version_of(path: Path) -> tuple[int, int] | None:
    """What changes when a file is replaced."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_mtime_ns
