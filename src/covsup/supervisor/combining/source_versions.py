"""The versions of each measured source file, and warnings where they differ.

A measured process records a source file's mtime and size, which costs it one system call. A
combination reads the file, and if it still has that mtime and size, the result gets a digest of its
contents. So an edited file is noticed, also where data of several machines meet.
"""

from __future__ import annotations

from covsup.datafile.source_files import version_now
from covsup.hints import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Final

    from covsup.datafile.fold.result import Result, Version

_SHOWN: Final = 3


class SourceVersions:
    """The source versions in the inputs of one combination."""

    def __init__(self) -> None:
        """No input is known yet."""
        self._now: dict[str, Version | None] = {}
        self._known: set[str] = set()

    def identified(self, result: Result) -> Result:
        """The result, with the digests of the source files that have not changed since."""
        return result._replace(
            versions={
                path: frozenset(self._identified(path, version) for version in versions)
                for path, versions in result.versions.items()
            }
        )

    def know(self, result: Result) -> None:
        """Note the differing versions in an input data file: they were reported when it was
        written.
        """
        self._known.update(
            path for path, versions in result.versions.items() if _differ(versions, result)
        )

    def is_unchanged(self, path: str, versions: Iterable[Version]) -> bool:
        """Whether the file at `path` is certainly the only version of it that was measured."""
        now = self._version_now(path)
        return now is not None and {each.digest for each in versions} == {now.digest}

    def sentences(self, result: Result) -> list[str]:
        """A warning about source files that changed between measurements; at most one."""
        changed = [
            path
            for path, versions in result.versions.items()
            if len(versions) > 1 and path not in self._known and _differ(versions, result)
        ]
        if not changed:
            return []
        sentence = (
            f"{_files(changed)} changed between the measurements combined here, so lines of one"
            " version count for the other: measure all of them with one version"
        )
        return [sentence]

    def _identified(self, path: str, version: Version) -> Version:
        now = self._version_now(path) if not version.digest else None
        return version if now is None or now.stamp != version.stamp else now

    def _version_now(self, path: str) -> Version | None:
        if path not in self._now:
            self._now[path] = version_now(path)
        return self._now[path]


def edited_sentence(paths: list[str]) -> str:
    """A warning about files that were edited after they were measured."""
    return f"{_files(paths)} changed since the measurement: run it again for correct numbers"


def _differ(versions: Iterable[Version], result: Result) -> bool:
    """Whether certainly more than one version of a file was measured."""
    digests = {each.digest for each in versions if each.digest}
    if len(digests) > 1:
        return True
    # Versions without a digest differ by mtime and size alone. That is certain on one machine only:
    # a copy on another machine may have another mtime.
    known = {each.stamp for each in versions if each.digest}
    unread = {each.stamp for each in versions if not each.digest} - known
    return bool(unread) and len(unread | known) > 1 and _is_of_one_machine(result)


def _is_of_one_machine(result: Result) -> bool:
    return len({image.property_values().get("host") for image in result.images.values()}) == 1


def _files(paths: list[str]) -> str:
    shown = ", ".join(sorted(paths)[:_SHOWN])
    more = f" and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else ""
    return f"{shown}{more}" if len(paths) <= 1 else f"{len(paths)} files ({shown}{more})"
