"""Copy a journal without the empty rest of its file.

A journal's file has its full size from the start and is sparse: 8 KiB on the disk, but 33 MiB for a
program that copies, archives or uploads it byte by byte. The file must not be truncated: a process
that has it mapped and touches a page behind the new end dies of SIGBUS. So a shorter copy replaces
the file, and a mapping of the old one stays whole.
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
_WORTH_IT: Final = 64 << 10  # bytes; to save fewer is not worth a copy


def shorten(path: str | Path) -> bool:
    """Replace the journal at `path`, whose image has ended, by a copy without the empty rest.

    False: the file is short already, or not an intact journal, and is unchanged. Raises OSError; the
    file is then unchanged as well.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            return False
        try:
            ranges = used_ranges(path, descriptor)
        except JournalError:
            return False
        end = max(offset + length for offset, length in ranges)
        if status.st_size - end < _WORTH_IT:
            return False
        copy_ranges(descriptor, ranges, path, status)
    finally:
        os.close(descriptor)
    return True


def copy_ranges(
    descriptor: int, ranges: list[tuple[int, int]], to: str | Path, status: os.stat_result
) -> None:
    """Write ranges (offset and length in bytes) of an open file to the file `to`, in one step.

    The copy gets the owner and the mode in `status`. Raises OSError.
    """
    directory, slash, _ = str(to).rpartition("/")
    temporary = f"{directory}{slash}.new-{os.urandom(6).hex()}"
    copy = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        try:
            for offset, length in ranges:
                _copy(descriptor, copy, offset, offset + length)
            if os.geteuid() != status.st_uid:
                os.fchown(copy, status.st_uid, status.st_gid)
            os.fchmod(copy, stat.S_IMODE(status.st_mode))
        finally:
            os.close(copy)
        os.replace(temporary, to)  # of thousands a Path each would cost too much
    except BaseException:
        os.unlink(temporary)  # as above
        raise


def _copy(source: int, copy: int, at: int, end: int) -> None:
    while at < end:
        piece = os.pread(source, min(_PIECE, end - at), at)
        if not piece:
            return  # the file was cut short, which the reader reports
        done = 0
        while done < len(piece):
            done += os.pwrite(copy, piece[done:], at + done)
        at += len(piece)
