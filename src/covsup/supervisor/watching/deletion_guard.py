"""Keep what a session directory holds although the program deletes it (`git clean`, `make clean`).

A descriptor of each journal is held from the moment when it appears, so what it says can be read
when its name has gone. The directory is made again as soon as that disturbs nobody: processes that
start later then find their settings. At the end the journals that have gone are written there.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

from covsup.datafile.errors import JournalError, JournalNotBegun
from covsup.datafile.session.directory import JournalFile, is_user_directory
from covsup.hints import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Final

    from covsup.datafile.session.directory import Session

_DELETION_SECONDS: Final = 0.3
"""Between the deletion of a session and that of the directory above it there is less time."""


class DeletionGuard:
    """Descriptors of what is in a session directory."""

    def __init__(self, session: Session, most: int) -> None:
        """Of a directory that is there; hold `most` descriptors at most."""
        self._session = session
        self._most = most
        self._descriptors: dict[str, int] = {}
        self._gone_since: float | None = None
        self.saved = 0
        """How many journals were written again."""
        self.lost: list[JournalFile] = []
        """Journals that were there, and of which nothing is left."""
        self.was_deleted = False

    def keep_open(self, path: str) -> None:
        """Hold what is at `path`, if it is held not yet and can be."""
        if path in self._descriptors or len(self._descriptors) >= self._most:
            return
        # What cannot be held is missing only if it is deleted, and is then named.
        with suppress(OSError):
            self._descriptors[path] = os.open(
                path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
            )

    def restore_directory(self) -> bool:
        """Make the directory again if it has gone; True if that was done now.

        Not while a deletion goes on: a directory that comes back fails the `rm -r` that is at it.
        When the directory above has gone, too, the deletion has passed, unless what is above that
        goes as well: not where covsup was started, but elsewhere only the end of the run can tell.
        """
        if self._session.is_there():
            self._gone_since = None
            return False
        now = time.monotonic()
        if self._gone_since is None:
            self._gone_since = now
        above = self._session.path.parent
        if above.exists():
            passed = now - self._gone_since > _DELETION_SECONDS
        else:
            passed = Path(self._session.settings.cwd).is_relative_to(above.parent)
        return passed and self._make_again()

    def _make_again(self) -> bool:
        if not self._session.path.parent.parent.is_dir():
            return False
        try:
            self._session.recreate()
        except OSError:
            return False  # tried again at the next look
        self.was_deleted = True
        self._gone_since = None
        from covsup.datafile.journal.shortening import copy_ranges  # noqa: PLC0415 - it is needed rarely

        for path in [each for each in self._descriptors if JournalFile.at(Path(each)) is None]:
            # Their successors are to be held.
            descriptor = self._descriptors.pop(path)
            with suppress(OSError):
                copy_ranges(descriptor, _all_of(descriptor), path, os.fstat(descriptor))
            os.close(descriptor)
        return True

    def recover(self, seen: list[JournalFile]) -> list[JournalFile]:
        """Write what is held and has no name any more; gives those of `seen` that this concerns.

        `seen` are all journals that ever were in the directory.
        """
        if not self._session.is_there() and not self._make_again():
            self.was_deleted = True
            self.lost = seen
            return []
        if not self.was_deleted and self._session.folded.exists():
            return []  # a combination has deleted journals that it has taken in
        gone = [
            each for each in seen if not os.path.lexists(each.path) and not self._says_nothing(each)
        ]
        written = [each for each in gone if self._write(each)]
        self.saved = len(written)
        self.lost = [each for each in gone if each not in written]
        self.was_deleted = self.was_deleted or bool(gone)
        return written

    def _says_nothing(self, journal: JournalFile) -> bool:
        """Whether a journal was never begun: on a full disk a process deletes its own again."""
        from covsup.datafile.journal.reader import used_ranges  # noqa: PLC0415 - it is needed rarely

        descriptor = self._descriptors.get(journal.path)
        if descriptor is None:
            return False
        try:
            used_ranges(journal.path, descriptor)
        except JournalNotBegun:
            return True
        except (JournalError, OSError):
            return False
        return False

    def _write(self, journal: JournalFile) -> bool:
        descriptor = self._descriptors.get(journal.path)
        if descriptor is None:
            return False
        from covsup.datafile.journal.reader import used_ranges  # noqa: PLC0415 - it is needed rarely
        from covsup.datafile.journal.shortening import copy_ranges  # noqa: PLC0415 - likewise

        try:
            try:
                parts = used_ranges(journal.path, descriptor)
            except JournalError:
                parts = _all_of(descriptor)  # the reader says what is wrong with it
            status = os.fstat(descriptor)
            place = Path(journal.path).parent
            if is_user_directory(place.name) and not place.exists():
                place.mkdir(mode=0o700)
                os.chown(place, status.st_uid, -1)
            copy_ranges(descriptor, parts, journal.path, status)
        except OSError:
            return False
        return True

    def close(self) -> None:
        """Hold nothing any more."""
        for descriptor in self._descriptors.values():
            os.close(descriptor)
        self._descriptors.clear()


def _all_of(descriptor: int) -> list[tuple[int, int]]:
    return [(0, os.fstat(descriptor).st_size)]
