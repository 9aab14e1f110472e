"""Read and replace the small text files of a session directory."""

from __future__ import annotations

import os
import stat

from covsup.hints import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Final

_LARGEST: Final = 64 << 20  # bytes


def read_text(path: Path) -> str:
    """The text of a file. Bytes that are not UTF-8 become surrogates. Raises OSError."""
    return path.read_bytes().decode("utf-8", "surrogateescape")


def read_text_of_others(path: Path) -> str:
    """The text of a file in a directory of another user, who may replace it at any moment.

    It follows no link, waits for no fifo, and reads at most 64 MiB. Raises OSError, and ValueError for
    anything but a regular file of that size.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError("it is not a regular file")
        with open(descriptor, "rb", closefd=False) as file:
            text = file.read(_LARGEST + 1)
    finally:
        os.close(descriptor)
    if len(text) > _LARGEST:
        raise ValueError(f"it has more than {_LARGEST >> 20} MiB")
    return text.decode("utf-8", "surrogateescape")


def replace_text(path: Path, text: str, *, lock: bool = False, mode: int = 0o600) -> None:
    """Write a file in one step: a reader sees the old text or the new one, never a part.

    `lock` keeps the file open and locked (flock) until this process ends. The file has its `mode` from
    the start: in another user's directory, a later chmod could reach a file of that user's choice.
    Raises OSError; the file is then what it was.
    """
    temporary = path.with_name(f".new-{os.urandom(6).hex()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(descriptor, "wb", closefd=not lock) as file:
            if mode != 0o600:  # some file systems keep no modes
                os.fchmod(descriptor, mode)  # without the umask
            file.write(text.encode("utf-8", "surrogateescape"))
        if lock:
            import fcntl  # only a supervisor locks a file

            fcntl.flock(descriptor, fcntl.LOCK_EX)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
