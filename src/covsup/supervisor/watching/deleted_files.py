"""Keep the contents of a session directory that the program deletes (`git clean`, `make clean`).

The supervisor opens each journal when it appears, so it can read the journal after its name is
gone. It makes the directory again as soon as that cannot disturb the deletion: processes that start
later then find their settings. At the end it writes the deleted journals there again.
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
"""A deletion takes less from a session directory to the directory above it."""


class DeletedFiles:
    """Open descriptors of the files in a session directory."""

    def __init__(self, session: Session, most: int) -> None:
        """Guard the directory of `session`, with at most `most` descriptors."""
        self._session = session
        self._most = most
        self._descriptors: dict[str, int] = {}
        self._gone_since: float | None = None
        self.saved = 0
        """The number of journals that were written again."""
        self.lost: list[JournalFile] = []
        """Deleted journals that could not be written again."""
        self.was_deleted = False

    def keep_open(self, path: str) -> None:
        """Open the file at `path`, unless it is open or the limit is reached."""
        if path in self._descriptors or len(self._descriptors) >= self._most:
            return
        # A file that cannot be opened is lost only if it is deleted, and then it is reported.
        with suppress(OSError):
            self._descriptors[path] = os.open(
                path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
            )

    def restore_directory(self) -> bool:
        """Make the directory again if it is gone; True if this call did it.

        It must not reappear while `rm -r` runs, which would fail then. If the directory above it
        is left, the deletion is over after a moment. If that one is gone, too, the deletion is over
        only if it stops there: certainly below the directory that covsup was started in. Anywhere
        else the directory is made again at the end of the run.
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
            return False  # the next scan tries again
        self.was_deleted = True
        self._gone_since = None
        from covsup.datafile.journal.shortening import copy_ranges  # rarely needed

        for path in [each for each in self._descriptors if JournalFile.at(Path(each)) is None]:
            # Observations and notes: the new files get these names, and are opened from now on.
            descriptor = self._descriptors.pop(path)
            with suppress(OSError):
                copy_ranges(descriptor, _all_of(descriptor), path, os.fstat(descriptor))
            os.close(descriptor)
        return True

    def recover(self, seen: list[JournalFile]) -> list[JournalFile]:
        """Write the deleted journals again; gives those that were written.

        `seen` are all journals that ever were in the directory. Sets `saved`, `lost` and
        `was_deleted`.
        """
        if not self._session.is_there() and not self._make_again():
            self.was_deleted = True
            self.lost = seen
            return []
        if not self.was_deleted and self._session.folded.exists():
            return []  # a combination has stored and deleted them
        gone = [each for each in seen if not os.path.lexists(each.path)]
        results = [(each, self._restore(each)) for each in gone]
        written = [each for each, was_restored in results if was_restored]
        self.saved = len(written)
        self.lost = [each for each, was_restored in results if was_restored is False]
        self.was_deleted = self.was_deleted or bool(written or self.lost)
        return written

    def _restore(self, journal: JournalFile) -> bool | None:
        """Write a deleted journal again; whether that worked. None if it was never begun: on a full
        disk a process deletes its own new journal.
        """
        descriptor = self._descriptors.get(journal.path)
        if descriptor is None:
            return False
        from covsup.datafile.journal import reader, shortening  # rarely needed

        try:
            try:
                ranges = reader.used_ranges(journal.path, descriptor)
            except JournalNotBegun:
                return None
            except JournalError:
                ranges = _all_of(descriptor)  # combining reports what is wrong with it
            status = os.fstat(descriptor)
            directory = Path(journal.path).parent
            if is_user_directory(directory.name) and not directory.exists():
                directory.mkdir(mode=0o700)
                os.chown(directory, status.st_uid, -1)
            shortening.copy_ranges(descriptor, ranges, journal.path, status)
        except OSError:
            return False
        return True

    def close(self) -> None:
        """Close all descriptors."""
        for descriptor in self._descriptors.values():
            os.close(descriptor)
        self._descriptors.clear()


def _all_of(descriptor: int) -> list[tuple[int, int]]:
    return [(0, os.fstat(descriptor).st_size)]
