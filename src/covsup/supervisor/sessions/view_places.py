"""What a view shows: a session directory or a data file, named or found."""

from __future__ import annotations

from pathlib import Path

from covsup.datafile.database.database import is_data_file, session_starts
from covsup.datafile.errors import CovsupError, SessionUnreadable
from covsup.datafile.session.directory import SETTINGS, open_session
from covsup.datafile.session.places import find_sessions, is_session_id
from covsup.hints import TYPE_CHECKING, NamedTuple
from covsup.supervisor.combining.inputs import belongs_to_data_file
from covsup.supervisor.messages import print_message

if TYPE_CHECKING:
    from collections.abc import Iterator

    from covsup.datafile.session.settings import Settings


class NothingToView(CovsupError):
    """There is no session and no data file, or not the one that was named."""


class OpenedSession(NamedTuple):
    """A session directory beside a data file."""

    path: Path
    settings: Settings


def sessions_of(data_file: Path) -> list[OpenedSession]:
    """The session directories of a data file, oldest first. Unreadable ones are reported.

    Sessions that no process has joined are left out.
    """
    return sorted(_opened(data_file), key=lambda each: (each.settings.started_ns, each.path.name))


def place_to_view(word: str | None, data_file: Path) -> Path:
    """The place that a word of the command line names; None = the newest of the data file.

    The word is a path, or the id of a session beside the data file. Without a word it is the newest
    session directory, or the data file if that is newer. Raises NothingToView.
    """
    if word is not None:
        if is_session_id(word):
            for each in sessions_of(data_file):
                if each.path.name == word:
                    return each.path
        path = Path(word)
        if not path.exists():
            raise NothingToView(f"there is no {word}: it is no session, and no file or directory")
        if path.is_dir() and not (path / SETTINGS).exists():
            raise NothingToView(f"{word} is a directory, and no session is in it")
        return path
    starts = session_starts(data_file) if is_data_file(data_file) else {}
    newest = max(starts.values(), default=0)
    for each in reversed(sessions_of(data_file)):
        # The directory of a session that was combined while it ran has more than the data file.
        if each.settings.started_ns >= newest:
            return each.path
    if not is_data_file(data_file):
        raise NothingToView(
            f"no session beside {data_file} and no data in it: `covsup run` makes one"
        )
    return data_file


def _opened(data_file: Path) -> Iterator[OpenedSession]:
    for path in find_sessions(data_file):
        if not belongs_to_data_file(path, data_file):
            continue
        try:
            session = open_session(path)
            if session.settings.open and not (session.journals() or session.folded.exists()):
                continue
            yield OpenedSession(path, session.settings)
        except SessionUnreadable as error:
            print_message(str(error))
