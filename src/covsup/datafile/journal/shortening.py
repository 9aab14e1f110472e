"""Copy a journal without the empty rest of its file.

A journal's file has its full size from the start and is sparse: 8 KiB on the disk, 33 MiB for
whatever copies, archives or uploads it byte by byte. A file that a process may have mapped must
not be cut: what it touches behind the new end would kill it (SIGBUS). So a shorter copy takes the
file's name, and a mapping of the old file stays whole.
"""

from __future__ import annotations

import os
import stat

from covsup.datafile.errors import JournalError
from covsup.datafile.journal.reader import used_ranges
from covsup.hints import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Final

_PIECE: Final = 1 << 20
_WORTH_IT: Final = 64 << 10  # bytes; of fewer a copy would cost more than it saves


def shorten(path: str | Path) -> bool:
    """Replace the journal at `path`, whose image has ended, by a copy without the empty rest.

    False: it stays as it was, because it is short already or no sound journal. Raises OSError;
    then, too, it is as it was.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            return False
        try:
            parts = used_ranges(path, descriptor)
        except JournalError:
            return False
        end = max(offset + length for offset, length in parts)
        if status.st_size - end < _WORTH_IT:
            return False
        copy_ranges(descriptor, parts, path, status)
    finally:
        os.close(descriptor)
    return True


def copy_ranges(
    descriptor: int, parts: list[tuple[int, int]], to: str | Path, status: os.stat_result
) -> None:
    """Write `parts` (offsets and lengths) of an open file to `to`, whole or not at all.

    `status` says whose the file shall be. Raises OSError.
    """
    temporary = os.path.join(os.path.dirname(to), f".new-{os.urandom(6).hex()}")  # noqa: PTH118, PTH120 - of thousands
    copy = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        try:
            for offset, length in parts:
                _copy(descriptor, copy, offset, offset + length)
            if os.geteuid() != status.st_uid:
                os.fchown(copy, status.st_uid, status.st_gid)
            os.fchmod(copy, stat.S_IMODE(status.st_mode))
        finally:
            os.close(copy)
        os.replace(temporary, to)  # noqa: PTH105 - likewise
    except BaseException:
        os.unlink(temporary)  # noqa: PTH108 - likewise
        raise


def _copy(source: int, copy: int, at: int, end: int) -> None:
    while at < end:
        piece = os.pread(source, min(_PIECE, end - at), at)
        if not piece:
            return  # it was cut short before; the reader says so
        done = 0
        while done < len(piece):
            done += os.pwrite(copy, piece[done:], at + done)
        at += len(piece)
