"""Locks on directories: one combination at a time writes a data file or deletes a session."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time

from covsup.datafile.session.places import SESSIONS
from covsup.hints import TYPE_CHECKING
from covsup.supervisor.combining.inputs import InputUnusable
from covsup.supervisor.messages import print_message

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import Final

_SILENT_WAIT_SECONDS: Final = 1.0
"""A shorter wait is not reported: most combinations take less."""

_POLL_SECONDS: Final = 0.02


@contextlib.contextmanager
def locked(directory: Path, on_wait: Callable[[Path], None] | None = None) -> Iterator[bool]:
    """Lock a directory against other combinations; gives whether another one had the lock before.

    `on_wait` is called with the directory if the wait takes long, and only in one of the processes
    that wait for it at the same time. The kernel drops the lock when the process ends in any way,
    and no lock file is left behind. Raises InputUnusable.
    """
    try:
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        # Another combination has deleted it. Or it is the data file's directory: writing reports
        # it.
        yield False
        return
    except OSError as error:
        raise InputUnusable(f"cannot open {directory}: {error.strerror or error}") from error
    with contextlib.ExitStack() as stack:
        stack.callback(os.close, descriptor)
        waited = not _is_free(descriptor)
        if waited and not _is_soon_free(descriptor):
            # Held until our own combination is done, so that processes that come meanwhile are
            # silent.
            if stack.enter_context(_reporter_of_wait(directory)) and on_wait is not None:
                on_wait(directory)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield waited


def report_wait(directory: Path) -> None:
    """Tell the user that this process waits: an `on_wait` for `locked`."""
    print_message(f"waiting for another covsup that combines in {directory}")


def _is_free(descriptor: int) -> bool:
    """Take the lock if no other process has it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_soon_free(descriptor: int) -> bool:
    """Take the lock if it becomes free in a short time."""
    until = time.monotonic() + _SILENT_WAIT_SECONDS
    while time.monotonic() < until:
        time.sleep(_POLL_SECONDS)
        if _is_free(descriptor):
            return True
    return False


@contextlib.contextmanager
def _reporter_of_wait(directory: Path) -> Iterator[bool]:
    """Whether this process reports the wait for `directory`: it holds a lock on the directory of
    sessions in it. Without such a directory, each process reports its own wait.
    """
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
    """A file's inode and mtime in ns, which change when it is replaced; None = no file."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_mtime_ns
