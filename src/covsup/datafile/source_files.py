"""Source files as they are now, and whether they were edited since they were measured."""

from __future__ import annotations

import os
import stat
from _blake2 import blake2b  # hashlib imports OpenSSL, which takes longer than all of this

from covsup.datafile.fold.result import Version
from covsup.hints import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Final

_LARGEST: Final = 64 << 20  # bytes


class SourceText(NamedTuple):
    """A source file as it is now."""

    text: bytes
    mtime_ns: int
    changed_ns: int  # the later one of mtime and ctime

    @property
    def version(self) -> Version:
        """Its mtime, size and digest."""
        return Version(f"{self.mtime_ns}-{len(self.text)}", digest_of(self.text))


def digest_of(text: bytes) -> str:
    """The digest of a source file's contents, as a Version has it."""
    return blake2b(text, digest_size=16).hexdigest()


def read_source(path: str) -> SourceText | None:
    """The file at `path`; None if it cannot be read.

    A journal may be another user's and name any path: only a regular file of up to 64 MiB is read.
    """
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # there may be thousands
            return None
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (OSError, ValueError):
        return None
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_size > _LARGEST:
            return None
        text = os.read(descriptor, found.st_size + 1)
    except OSError:
        return None
    finally:
        os.close(descriptor)
    changed_ns = max(found.st_mtime_ns, found.st_ctime_ns)
    return SourceText(text, found.st_mtime_ns, changed_ns)


def version_now(path: str) -> Version | None:
    """The version of the file at `path` now; None if it cannot be read."""
    source = read_source(path)
    return None if source is None else source.version


def is_edited(now: Version | None, measured: Iterable[Version]) -> bool:
    """Whether a file that exists certainly differs from every version of it that was measured."""
    versions = tuple(measured)
    return (
        now is not None
        and bool(versions)
        and not any(
            each.digest == now.digest if each.digest else each.stamp == now.stamp
            for each in versions
        )
    )


def edited_since(versions: Mapping[str, Iterable[Version]]) -> list[str]:
    """The files that exist and differ from every version of them that was measured."""
    return sorted(
        path for path, measured in versions.items() if is_edited(version_now(path), measured)
    )
