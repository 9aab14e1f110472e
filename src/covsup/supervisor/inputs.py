"""What is to be combined: paths of any kind, sorted by what they are."""

from __future__ import annotations

import os
from pathlib import Path

from covsup.datafile.errors import CovsupError
from covsup.datafile.session import (
    SESSIONS,
    SETTINGS,
    JournalFile,
    find_sessions,
    is_sessions_directory,
    sessions_directory,
    sessions_in,
)
from covsup.hints import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class NothingToCombine(CovsupError):
    """There is neither a session nor a journal nor a data file where they were looked for."""


class NoSession(NothingToCombine):
    """Nothing was named, and no session waits beside the data file."""


class InputUnusable(CovsupError):
    """A path given is nothing that can be combined. Nothing was done."""


class Inputs:
    """What is to be combined, sorted by what it is."""

    def __init__(self, paths: Sequence[Path], data_file: Path) -> None:
        """Sort `paths`, or find the sessions beside `data_file` where there are none."""
        self.sessions: dict[Path, frozenset[str] | None] = {}
        """By directory: the images of which journals were named; None: all of them."""
        self.loose: dict[Path, set[str]] = {}
        """Journals outside of a session, by directory: their images."""
        self.data_files: list[Path] = []
        self.names_target = False
        self._data_file = data_file
        if paths:
            for path in paths:
                self._add(Path(os.path.abspath(path)))  # noqa: PTH100 - links stay
        else:
            self._add_sessions(find_sessions(data_file))
            if not self.sessions:
                raise NoSession(f"no session in {sessions_directory(data_file)}")
        if not (self.sessions or self.loose or self.data_files or self.names_target):
            raise NothingToCombine(f"nothing to combine in {', '.join(map(str, paths))}")

    def session_directories(self) -> list[Path]:
        """The session directories, and the directories of loose journals."""
        return [*self.sessions, *self.loose]

    def forget_vanished(self) -> None:
        """Leave out what another combination has taken while we waited for it."""
        for directory in [path for path in self.sessions if not (path / SETTINGS).exists()]:
            if not directory.exists():
                del self.sessions[directory]
        self.data_files = [path for path in self.data_files if path.exists()]
        if not (self.sessions or self.loose or self.data_files or self.names_target):
            raise NothingToCombine("another covsup has combined it all at this moment")

    def _add(self, path: Path) -> None:
        if path.is_dir():
            self._add_directory(path)
        elif not path.exists():
            raise InputUnusable(f"there is no {path}")
        elif (journal := JournalFile.at(path)) is not None:
            self._add_journal(journal)
        elif path.resolve() == self._data_file.resolve():
            self.names_target = True
        elif path not in self.data_files:
            self.data_files.append(path)

    def _add_directory(self, path: Path) -> None:
        if (path / SETTINGS).exists():
            self._add_sessions([path])
            return
        self._add_sessions(sessions_in(path if is_sessions_directory(path) else path / SESSIONS))
        for file in sorted(path.iterdir()):
            journal = JournalFile.at(file)
            if journal is not None:
                self._add_journal(journal)
            elif (
                file.name.startswith(self._data_file.name + ".")
                and not file.name.endswith("-journal")
                and file.is_file()
            ):
                self.data_files.append(file)

    def _add_sessions(self, directories: Iterable[Path]) -> None:
        for directory in directories:
            self.sessions[directory] = None

    def _add_journal(self, journal: JournalFile) -> None:
        directory = Path(journal.path).parent
        # The journals of another user's processes are one level below the session.
        session = next(
            (each for each in (directory, directory.parent) if (each / SETTINGS).exists()), None
        )
        if session is None:
            self.loose.setdefault(directory, set()).add(journal.image_id)
        elif (only := self.sessions.get(session, frozenset())) is not None:
            self.sessions[session] = only | {journal.image_id}
