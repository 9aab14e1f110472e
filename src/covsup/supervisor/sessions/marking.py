"""Set a mark in a running session, and list the marks that were set."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from covsup import mark_files
from covsup.datafile import _fold
from covsup.datafile.database.database import is_data_file, read_covsup_tables
from covsup.datafile.errors import CovsupError, SessionUnreadable
from covsup.datafile.session.directory import SETTINGS, open_session
from covsup.datafile.session.mark_file import MarkFile
from covsup.datafile.session.marks import Mark
from covsup.hints import TYPE_CHECKING
from covsup.supervisor.messages import local_time, print_message, printable
from covsup.supervisor.sessions.view_places import place_to_view, sessions_of
from covsup.supervisor.sessions.waiting_sessions import waiting_sessions

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from covsup.datafile.session.directory import Session


class NothingToMark(CovsupError):
    """There is no session in which the mark can be set, or more than one."""


class MarkUnwritable(CovsupError):
    """The mark cannot be written into the session directory."""


def set_mark(session: Path, name: str) -> None:
    """Set a mark in a session directory. Raises MarkUnwritable."""
    layout = {field: offset for field, offset, _ in _fold.HEADER_LAYOUT}
    try:
        mark_files.set_mark(
            str(session),
            name,
            mark_files.JournalLayout(
                _fold.JOURNAL_HEADER_SIZE,
                *(layout[field] for field in ("slots_at", "slot_size", "tail", "slots_used")),
            ),
        )
    except OSError as error:
        raise MarkUnwritable(
            f"cannot set a mark in {session}: {error.strerror or error}"
        ) from error


def mark_session(name: str, word: str | None, data_file: Path, *, quiet: bool) -> int:
    """Set a mark in the session that a word names, or in the running one; gives the exit status.

    Raises CovsupError.
    """
    session = _session_to_mark(word, data_file)
    set_mark(session.path, name)
    if not quiet:
        sys.stdout.write(f"Set mark {printable(name)} in session {session.id}\n")
    return 0


def _session_to_mark(word: str | None, data_file: Path) -> Session:
    named = word or os.environ.get("COVSUP_SESSION", "")
    if named:
        path = place_to_view(named, data_file) if word else Path(named)
        if not (path / SETTINGS).exists():
            what = f"COVSUP_SESSION names {named}, which" if not word else f"{path}"
            raise NothingToMark(f"{what} is not a session directory, so no mark can be set in it")
        return open_session(path)
    waiting = waiting_sessions(data_file)
    running = [each.session for each in waiting if each.runs]
    candidates = running or [each.session for each in waiting if each.session.settings.open]
    if not candidates:
        raise NothingToMark(
            f"no session runs beside {data_file}, so there is nothing to mark: start one with"
            " `covsup run`, or name the session"
        )
    if len(candidates) > 1:
        ids = ", ".join(each.id for each in candidates)
        raise NothingToMark(
            f"{len(candidates)} sessions are open beside {data_file}: name one of {ids}"
        )
    return candidates[0]


def list_marks(word: str | None, data_file: Path, *, as_json: bool) -> int:
    """Print the marks of a place, or of all sessions of a data file. Raises CovsupError."""
    marks = sorted(set(_marks_of(_places(word, data_file))), key=lambda mark: mark.at_ns)
    if as_json:
        sys.stdout.write(f"{json.dumps([mark._asdict() for mark in marks], indent=2)}\n")
        return 0
    for mark in marks:
        sys.stdout.write(f"{local_time(mark.at_ns)}  {mark.session}  {printable(mark.name)}\n")
    return 0


def _places(word: str | None, data_file: Path) -> list[Path]:
    if word is not None:
        return [place_to_view(word, data_file)]
    places = [each.path for each in sessions_of(data_file)]
    return [*places, data_file] if is_data_file(data_file) else places


def _marks_of(places: Iterable[Path]) -> Iterator[Mark]:
    for place in places:
        if not (place / SETTINGS).exists():
            yield from read_covsup_tables(place).marks
            continue
        try:
            session = open_session(place)
        except SessionUnreadable as error:
            print_message(str(error))
            continue
        for path in session.mark_files():
            try:
                file = MarkFile.of_file(path)
                yield Mark(session.id, file.name, file.at_ns)
            except (OSError, ValueError) as error:
                print_message(f"{path}: cannot be used as a mark: {error}")
