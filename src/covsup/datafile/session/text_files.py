"""Read and replace the small text files of a session directory."""

from __future__ import annotations

import os

from covsup.hints import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def read_text(path: Path) -> str:
    """The text of a file. Bytes that are not UTF-8 become surrogates. Raises OSError."""
    return path.read_bytes().decode("utf-8", "surrogateescape")


def replace_text(path: Path, text: str, *, lock: bool = False) -> None:
    """Write a file in one step: a reader sees the old text or the new one, never a part.

    `lock` keeps the file open and locked (flock) until this process ends. Raises OSError; the file
    is then what it was.
    """
    temporary = path.with_name(f".new-{os.urandom(6).hex()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(descriptor, "wb", closefd=not lock) as file:
            file.write(text.encode("utf-8", "surrogateescape"))
        if lock:
            import fcntl  # only a supervisor locks a file

            fcntl.flock(descriptor, fcntl.LOCK_EX)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
