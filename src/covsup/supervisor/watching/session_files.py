"""The files in the directory of a running session: which processes have a journal.

The program may delete the directory or files in it: `deleted_files` keeps the contents.
"""

from __future__ import annotations

import os

from covsup.datafile.session.directory import OBSERVATIONS, JournalFile, is_user_directory
from covsup.datafile.session.notes import NOTE_SUFFIX
from covsup.hints import TYPE_CHECKING
from covsup.supervisor.watching.deleted_files import DeletedFiles
from covsup.supervisor.watching.inotify import InotifyWatch

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from covsup.datafile.session.directory import Session


class SessionFiles:
    """The files of one session, as of the last reading of its directories."""

    def __init__(
        self, session: Session, max_descriptors: int, on_journal: Callable[[int], object]
    ) -> None:
        """Open at most `max_descriptors` files, to keep them. `on_journal` is called with the pid
        of each image of which a journal appears.
        """
        self._session = session
        self._on_journal = on_journal
        self._images: dict[int, set[str]] = {}  # ids by pid
        self._journals: list[JournalFile] = []
        self._journal_names: set[str] = set()
        self._directories = {session.path: -1}
        """The session's directory and those of other users in it, each with its mtime in ns when it
        was last read."""
        self._deleted_files = DeletedFiles(session, max_descriptors)
        self._inotify = InotifyWatch.open(os.fspath(session.path))

    @property
    def was_deleted(self) -> bool:
        """Whether something deleted the directory or files in it."""
        return self._deleted_files.was_deleted

    @property
    def deletion_message(self) -> str:
        """A message about what was deleted; "" = nothing was."""
        guard = self._deleted_files
        if not guard.was_deleted:
            return ""
        lost = f", {len(guard.lost)} lost" if guard.lost else ""
        return (
            f"something deleted the session directory {self._session.path} during the run, or files"
            f" in it; journals saved: {guard.saved}{lost}"
        )

    def has_journal_of(self, pid: int) -> bool:
        """Whether a journal of this pid was ever seen."""
        return pid in self._images

    def has_directory_of(self, uid: int) -> bool:
        """Whether the session has a directory in which this user may make journals."""
        return self._session.path / f"uid-{uid}" in self._directories

    def read(self) -> None:
        """Look for new files."""
        self._restore()
        for directory in self._directories.copy():
            self._read_directory(directory)

    def on_inotify(self) -> None:
        """Take note of the files that the kernel reports."""
        for name in self._inotify.drain() if self._inotify is not None else ():
            self._add(self._session.path, name)
        self._restore()

    def close_inotify(self) -> None:
        """Stop the signals: SIGIO would kill this process once it is not blocked any more."""
        inotify, self._inotify = self._inotify, None
        if inotify is not None:
            inotify.close()

    def recover(self) -> tuple[list[JournalFile], list[JournalFile], set[int]]:
        """Write deleted journals again and close all descriptors. Called once, at the end.

        Gives the journals written, those that are lost, and the pids that have any journal left.
        """
        written = self._deleted_files.recover(self._journals)
        lost = self._deleted_files.lost
        self._deleted_files.close()
        return written, lost, {each.pid for each in self._journals} - {each.pid for each in lost}

    def _restore(self) -> None:
        """Make the session directory again if the program has deleted it."""
        if self._deleted_files.restore_directory():
            self._directories = {self._session.path: -1}
            if self._inotify is not None:
                self._inotify.watch(os.fspath(self._session.path))

    def _read_directory(self, directory: Path) -> None:
        try:
            changed_ns = directory.stat().st_mtime_ns
            if changed_ns == self._directories[directory]:
                return
            names = os.listdir(directory)  # names are all that is needed
        except OSError:
            # The program may have deleted it. The journals are mapped and lose nothing before their
            # last process ends. Combining reports what is missing.
            return
        self._directories[directory] = changed_ns
        for name in names:
            if name not in self._journal_names or name == OBSERVATIONS:
                self._add(directory, name)

    def _add(self, directory: Path, name: str) -> None:
        """Take note of one file."""
        path = f"{directory}/{name}"
        journal = JournalFile.named(name, path)
        if journal is None:
            if name == OBSERVATIONS or name.endswith(NOTE_SUFFIX):
                self._deleted_files.keep_open(path)
            elif (
                is_user_directory(name)
                and directory == self._session.path
                and directory / name not in self._directories
            ):
                self._directories[directory / name] = -1
                self._read_directory(directory / name)
            return
        if name in self._journal_names:
            return
        self._journal_names.add(name)
        self._journals.append(journal)
        self._deleted_files.keep_open(path)
        images = self._images.setdefault(journal.pid, set())
        if journal.image_id not in images:
            images.add(journal.image_id)
            self._on_journal(journal.pid)
