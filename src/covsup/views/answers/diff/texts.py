"""The source texts that were measured: from the working tree, a directory, or git.

A text is used only if it is certain, or nothing is known to the contrary: a data file has the digest
of each file that was measured.
"""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

from covsup.datafile.errors import CovsupError
from covsup.datafile.source_files import digest_of, read_source

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Final

    from covsup.datafile.fold.result import Version

_COMMITS: Final = 200
"""How many changes of a file are searched for the measured version."""


class NoSuchSource(CovsupError):
    """The sources of a measurement are not where the user says."""


class Texts:
    """The source texts of one side."""

    def __init__(self, source: str | None, option: str) -> None:
        """`source` is a directory or a git revision with the files of this directory; None = search.

        `option` is the one that gives it, for messages. Raises NoSuchSource.
        """
        self._directory = source if source is not None and os.path.isdir(source) else None
        self._revision = source if self._directory is None else None
        self._here = os.getcwd()
        if self._revision is not None and (
            self._revision.startswith("-")
            or not _git("rev-parse", "--verify", "--quiet", f"{self._revision}^{{tree}}")
        ):
            raise NoSuchSource(
                f"{option}={source}: there is no such directory, and git has no such revision here"
            )

    @property
    def is_chosen(self) -> bool:
        """Whether the user says where the texts are."""
        return self._directory is not None or self._revision is not None

    def text(self, path: str, versions: Iterable[Version]) -> bytes | None:
        """The text of a file that was measured in these versions; None = not known, or no file."""
        inside = os.path.relpath(path, self._here)
        is_inside = not inside.startswith(os.pardir + os.sep)
        if self._directory is not None:
            found = read_source(os.path.join(self._directory, inside)) if is_inside else None
            return None if found is None else found.text
        if self._revision is not None:
            return _git("cat-file", "blob", f"{self._revision}:./{inside}") if is_inside else None
        return _measured_text(path, frozenset(versions))


def known_digests(path: str, versions: Iterable[Version]) -> frozenset[str]:
    """The digests of the measured versions. A session has stamps only, until it is combined."""
    now = read_source(path)
    found = set()
    for version in versions:
        if version.digest:
            found.add(version.digest)
        elif now is not None and now.version.stamp == version.stamp:
            found.add(now.version.digest)
    return frozenset(found)


def _measured_text(path: str, versions: frozenset[Version]) -> bytes | None:
    """The text in the working tree if it may have been measured, or else an earlier one."""
    now = read_source(path)
    if not versions:
        return None if now is None else now.text
    digests = known_digests(path, versions)
    if now is not None and now.version.digest in digests:
        return now.text
    return next((text for text in _history(path) if digest_of(text) in digests), None)


def _history(path: str) -> Iterator[bytes]:
    """The texts that git has of a file, on any branch, the newest first."""
    directory, name = os.path.split(path)
    if not os.path.isdir(directory):
        return
    raw = _git(
        "log", "--all", f"-n{_COMMITS}", "--raw", "--no-abbrev", "--format=", "--", name,
        directory=directory,
    )  # fmt: skip
    seen = set()
    for line in (raw or b"").decode("ascii", "replace").splitlines():
        for blob in reversed(line.split()[2:4]):
            if blob.strip("0") and blob not in seen:
                seen.add(blob)
                text = _git("cat-file", "blob", blob, directory=directory)
                if text is not None:
                    yield text


def _git(*words: str, directory: str | None = None) -> bytes | None:
    """The output of a git command; None if it fails, or there is no git."""
    try:
        done = subprocess.run(["git", *words], cwd=directory, capture_output=True, check=False)
    except OSError:
        return None
    return done.stdout if done.returncode == 0 else None
