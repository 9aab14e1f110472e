"""A watch on a directory: the kernel sends SIGIO when a file appears in it (inotify(7))."""

from __future__ import annotations

import _thread
import ctypes
import fcntl
import os
import signal
import struct
import sys

from covsup.hints import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Final, Self

_IN_CREATE: Final = 0x100
_IN_DELETE_SELF: Final = 0x400
_EVENT: Final = struct.Struct("=iIII")  # watch, mask, cookie, length of the name that follows
_READ_BYTES: Final = 65_536


class InotifyWatch:
    """Sends SIGIO when a file is made in a directory, or it or the one above is deleted.

    SIGIO has to be blocked and received: by default it kills the process.
    """

    def __init__(self, descriptor: int) -> None:
        """Own an inotify descriptor. Use `open`."""
        self._descriptor = descriptor

    @classmethod
    def open(cls, directory: str) -> Self | None:
        """Watch a directory; None if that fails (not Linux, or a limit of inotify is reached)."""
        if sys.platform != "linux":
            return None
        descriptor = ctypes.CDLL(None).inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if descriptor < 0:
            return None
        watch = cls(descriptor)
        if not watch.watch(directory):
            os.close(descriptor)
            return None
        fcntl.fcntl(descriptor, fcntl.F_SETOWN, os.getpid())
        # SIGIO is the default, but only a signal set explicitly comes with si_code (fcntl(2)).
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGIO)
        flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
        fcntl.fcntl(descriptor, fcntl.F_SETFL, flags | os.O_ASYNC)
        return watch

    def watch(self, directory: str) -> bool:
        """Watch another directory, or one that was made again; False if that fails."""
        add = ctypes.CDLL(None).inotify_add_watch
        parent = directory.rpartition("/")[0]
        add(self._descriptor, os.fsencode(parent), _IN_DELETE_SELF)
        mask = _IN_CREATE | _IN_DELETE_SELF
        return bool(add(self._descriptor, os.fsencode(directory), mask) >= 0)

    def drain(self) -> list[str]:
        """Read the pending events; gives the names of the files that were made."""
        names: list[str] = []
        while True:
            try:
                events = os.read(self._descriptor, _READ_BYTES)
            except BlockingIOError:
                return names
            at = 0
            while at < len(events):
                _, mask, _, length = _EVENT.unpack_from(events, at)
                at += _EVENT.size + length
                if mask & _IN_CREATE:
                    names.append(os.fsdecode(events[at - length : at].rstrip(b"\0")))

    def close(self) -> None:
        """Send no signal any more, from this moment."""
        flags = fcntl.fcntl(self._descriptor, fcntl.F_GETFL)
        fcntl.fcntl(self._descriptor, fcntl.F_SETFL, flags & ~os.O_ASYNC)
        # Closing the descriptor takes some 20 ms: the kernel waits for all readers of the watch.
        # The exit of a process that has it open takes as long. So a thread closes it, while this
        # one makes the result of the run.
        try:
            _thread.start_new_thread(os.close, (self._descriptor,))
        except (RuntimeError, MemoryError):  # no thread can be started
            os.close(self._descriptor)
