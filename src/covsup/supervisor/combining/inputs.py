"""The inputs of a combination: paths of any kind, sorted into sessions, journals and data files."""

from __future__ import annotations

import contextlib
import glob
import os
from pathlib import Path

from covsup.datafile.errors import CovsupError
from covsup.datafile.session.directory import SETTINGS, JournalFile
from covsup.datafile.session.places import (
    SESSIONS,
    find_sessions,
    is_sessions_directory,
    sessions_directory,
    sessions_in,
)
from covsup.datafile.session.settings import read_settings
from covsup.hints import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Final


_SQLITE: Final = b"SQLite format 3\0"
_FIRST_KEY: Final = b"format="
"""The beginning of every settings file."""


class NothingToCombine(CovsupError):
    """The given places hold no session, no journal and no data file."""


class NoSession(NothingToCombine):
    """No path was given, and no session of the data file lies beside it."""


class InputUnusable(CovsupError):
    """A given path cannot be combined. Nothing was changed."""


def belongs_to_data_file(session: Path, data_file: Path) -> bool:
    """Whether a session beside a data file is one of that file, and not of another one there.

    The data file's name decides, not its path: both may have been moved here together.
    """
    try:
        settings = read_settings(session / SETTINGS)
    except (OSError, ValueError):
        return True  # opening it reports the error
    return settings.data_file.rpartition("/")[2] in {"", data_file.name}


def is_session(path: Path) -> bool:
    """Whether a directory is a session directory, whatever its name is."""
    try:
        with (path / SETTINGS).open("rb") as file:
            return file.read(len(_FIRST_KEY)) == _FIRST_KEY and not path.is_symlink()
    except OSError:
        return False


def _is_database(path: Path) -> bool:
    """Whether a file is a SQLite database: `.coverage.xml`, by its name one, may be a report."""
    try:
        with path.open("rb") as file:
            return file.read(len(_SQLITE)) == _SQLITE
    except OSError:
        return True  # reading it reports the error


def _other_data_files(sessions: Iterable[Path]) -> str:
    """The end of a message that there is no session: other data files that have sessions here."""
    names = set()
    for session in sessions:
        with contextlib.suppress(OSError, ValueError):
            names.add(read_settings(session / SETTINGS).data_file)
    return f" of this data file, but of {', '.join(sorted(names))}" if names else ""


class Inputs:
    """The inputs of a combination, by kind."""

    def __init__(self, paths: Sequence[Path], data_file: Path) -> None:
        """Sort `paths`; without any, find the sessions and parallel data files beside `data_file`.

        Raises NothingToCombine, NoSession and InputUnusable.
        """
        self.sessions: dict[Path, frozenset[str] | None] = {}
        """Session directories, each with the ids of the images to read; None: all of them."""
        self.loose: dict[Path, set[str]] = {}
        """Directories with journals outside of a session, and the ids of these images."""
        self.data_files: list[Path] = []
        self.includes_data_file = False
        """The data file is among `paths`: it is not replaced, but united with the rest."""
        self.by_default = not paths
        self._data_file = data_file
        if paths:
            for path in paths:
                self._add(Path(os.path.abspath(path)))  # links stay
        else:
            waiting = find_sessions(data_file)
            self._add_sessions(path for path in waiting if belongs_to_data_file(path, data_file))
            self._add_parallel_files()
            if not (self.sessions or self.data_files):
                others = _other_data_files(waiting)
                raise NoSession(f"no session in {sessions_directory(data_file)}{others}")
        if not (self.sessions or self.loose or self.data_files or self.includes_data_file):
            raise NothingToCombine(f"nothing to combine in {', '.join(map(str, paths))}")

    def session_directories(self) -> list[Path]:
        """The session directories, and the directories of loose journals."""
        return [*self.sessions, *self.loose]

    def forget_vanished(self) -> None:
        """Drop the inputs that another combination has deleted while this one waited for a lock.

        Raises NothingToCombine if nothing is left.
        """
        for directory in [path for path in self.sessions if not (path / SETTINGS).exists()]:
            if not directory.exists():
                del self.sessions[directory]
        self.data_files = [path for path in self.data_files if path.exists()]
        if not (self.sessions or self.loose or self.data_files or self.includes_data_file):
            raise NothingToCombine(
                "nothing is left to combine: another covsup has just combined it"
            )

    def _add(self, path: Path) -> None:
        if path.is_dir():
            self._add_directory(path)
        elif not path.exists():
            raise InputUnusable(f"there is no {path}")
        elif (journal := JournalFile.at(path)) is not None:
            self._add_journal(journal)
        elif path.resolve() == self._data_file.resolve():
            self.includes_data_file = True
        elif path not in self.data_files:
            self.data_files.append(path)

    def _add_directory(self, path: Path) -> None:
        if (path / SETTINGS).exists():
            self._add_sessions([path])
            return
        before = self._count()
        self._add_sessions(sessions_in(path if is_sessions_directory(path) else path / SESSIONS))
        for entry in sorted(path.iterdir()):
            if (journal := JournalFile.at(entry)) is not None:
                self._add_journal(journal)
            elif is_session(entry):
                # Tools that carry files between CI jobs may rename it and the directory above.
                self._add_sessions([entry])
            elif self._is_parallel(entry):
                self.data_files.append(entry)
        if self._count() == before:
            self._add_below(path)

    def _add_below(self, path: Path) -> None:
        """Add the inputs in subdirectories: CI services put each artifact into one of its own."""
        for directory, below, files in os.walk(path):
            here = Path(directory)
            below.sort()
            if is_session(here):
                self._add_sessions([here])
                below.clear()
                continue
            for name in sorted(files):
                file = here / name
                if (journal := JournalFile.at(file)) is not None:
                    self._add_journal(journal)
                elif self._is_parallel(file):
                    self.data_files.append(file)

    def _add_parallel_files(self) -> None:
        """Add the data files that coverage.py left in parallel mode beside the data file."""
        for path in sorted(self._data_file.parent.glob(f"{glob.escape(self._data_file.name)}.*")):
            if self._is_parallel(path) and _is_database(path):
                self.data_files.append(path)

    def _is_parallel(self, path: Path) -> bool:
        """Whether a file has the name of a parallel data file of coverage.py."""
        return (
            path.name.startswith(self._data_file.name + ".")
            and not path.name.endswith("-journal")
            and path.is_file()
        )

    def _count(self) -> int:
        return len(self.sessions) + len(self.loose) + len(self.data_files)

    def _add_sessions(self, directories: Iterable[Path]) -> None:
        for directory in directories:
            self.sessions[directory] = None

    def _add_journal(self, journal: JournalFile) -> None:
        directory = Path(journal.path).parent
        # Journals of another user's processes lie one level below the session directory.
        session = next(
            (each for each in (directory, directory.parent) if (each / SETTINGS).exists()), None
        )
        if session is None:
            self.loose.setdefault(directory, set()).add(journal.image_id)
        elif (only := self.sessions.get(session, frozenset())) is not None:
            self.sessions[session] = only | {journal.image_id}
