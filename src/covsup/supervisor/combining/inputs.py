"""What is to be combined: paths of any kind, sorted by what they are."""

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
"""How a settings file begins."""


class NothingToCombine(CovsupError):
    """There is neither a session nor a journal nor a data file where they were looked for."""


class NoSession(NothingToCombine):
    """Nothing was named, and no session waits beside the data file."""


class InputUnusable(CovsupError):
    """A path given is nothing that can be combined. Nothing was done."""


def belongs_to_data_file(session: Path, data_file: Path) -> bool:
    """Whether a session beside a data file is one of that file, and not of another one there.

    The name decides: the directory may have been moved here together with its data file.
    """
    try:
        settings = read_settings(session / SETTINGS)
    except (OSError, ValueError):
        return True  # what is wrong with it is reported when it is opened
    return os.path.basename(settings.data_file) in {"", data_file.name}  # noqa: PTH119 - a text


def is_session(path: Path) -> bool:
    """Whether a directory is a session's, whatever its name is."""
    try:
        with (path / SETTINGS).open("rb") as file:
            return file.read(len(_FIRST_KEY)) == _FIRST_KEY and not path.is_symlink()
    except OSError:
        return False


def _is_database(path: Path) -> bool:
    """Whether a file is a SQLite database; a report beside a data file may be named like one."""
    try:
        with path.open("rb") as file:
            return file.read(len(_SQLITE)) == _SQLITE
    except OSError:
        return True  # what is wrong with it is reported when it is read


def _other_data_files(sessions: Iterable[Path]) -> str:
    """The data files of sessions, for a message."""
    names = set()
    for session in sessions:
        with contextlib.suppress(OSError, ValueError):
            names.add(read_settings(session / SETTINGS).data_file)
    return f" of this data file, but of {', '.join(sorted(names))}" if names else ""


class Inputs:
    """What is to be combined, sorted by what it is."""

    def __init__(self, paths: Sequence[Path], data_file: Path) -> None:
        """Sort `paths`, or find the sessions beside `data_file` where there are none."""
        self.sessions: dict[Path, frozenset[str] | None] = {}
        """By directory: the images of which journals were named; None: all of them."""
        self.loose: dict[Path, set[str]] = {}
        """Journals outside of a session, by directory: their images."""
        self.data_files: list[Path] = []
        self.includes_data_file = False
        self.by_default = not paths
        """Nothing was named: this is what waits beside the data file."""
        self._data_file = data_file
        if paths:
            for path in paths:
                self._add(Path(os.path.abspath(path)))  # noqa: PTH100 - links stay
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
        """Leave out what another combination has taken while we waited for it."""
        for directory in [path for path in self.sessions if not (path / SETTINGS).exists()]:
            if not directory.exists():
                del self.sessions[directory]
        self.data_files = [path for path in self.data_files if path.exists()]
        if not (self.sessions or self.loose or self.data_files or self.includes_data_file):
            raise NothingToCombine("another covsup has combined it all at this moment")

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
                # Whatever its name is now, and that of the directory: what stores and fetches
                # files for a CI may change both.
                self._add_sessions([entry])
            elif self._is_parallel(entry):
                self.data_files.append(entry)
        if self._count() == before:
            self._add_below(path)

    def _add_below(self, path: Path) -> None:
        """Have what is deeper in a directory: a CI puts each artifact into one of its own."""
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
        """Have the data files that coverage.py left in parallel mode."""
        for path in sorted(self._data_file.parent.glob(f"{glob.escape(self._data_file.name)}.*")):
            if self._is_parallel(path) and _is_database(path):
                self.data_files.append(path)

    def _is_parallel(self, path: Path) -> bool:
        """Whether a file is named as one of coverage.py's parallel data files."""
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
        # The journals of another user's processes are one level below the session.
        session = next(
            (each for each in (directory, directory.parent) if (each / SETTINGS).exists()), None
        )
        if session is None:
            self.loose.setdefault(directory, set()).add(journal.image_id)
        elif (only := self.sessions.get(session, frozenset())) is not None:
            self.sessions[session] = only | {journal.image_id}
