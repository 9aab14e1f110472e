"""What had been executed when a mark was set, from the journals of its session.

A mark holds the tail of each journal at its moment. The words before these tails, and what
combinations had moved to the session's partial fold by then, are all that had been executed.
"""

from __future__ import annotations

from collections import defaultdict
from functools import partial
from itertools import groupby

from covsup.datafile.database.read_result import read_result
from covsup.datafile.errors import DataFileUnusable, JournalError
from covsup.datafile.fold.gather import ImageFold
from covsup.datafile.fold.marked_facts import facts_in_any_context, united_facts
from covsup.datafile.journal.reader import read_journal, read_slots, read_until
from covsup.datafile.session.mark_file import MarkFile
from covsup.datafile.session.marks import Mark, MarkedFacts
from covsup.hints import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from covsup.datafile.fold.result import Result
    from covsup.datafile.journal.reader import Journal
    from covsup.datafile.session.directory import JournalFile, Session


class SessionMarks(NamedTuple):
    """The marks of a session directory."""

    marks: dict[Mark, MarkedFacts]
    problems: list[str]  # files that are no marks, one line each


def read_marks(session: Session, known: Mapping[Mark, MarkedFacts] | None = None) -> SessionMarks:
    """Every mark in a session directory, with what had been executed then.

    Marks in `known` are not read again. Raises OSError.
    """
    found = SessionMarks({}, [])
    folded: Result | None = None
    for path in session.mark_files():
        try:
            file = MarkFile.of_file(path)
        except FileNotFoundError:
            continue  # its process sets it again
        except (OSError, ValueError) as error:
            found.problems.append(f"{path}: cannot be used as a mark: {error}")
            continue
        mark = Mark(session.id, file.name, file.at_ns)
        if known is not None and mark in known:
            found.marks[mark] = known[mark]
            continue
        if folded is None:
            folded = _partial_fold(session)
        found.marks[mark] = united_facts(
            [*_facts_in_fold(mark, folded), _facts_in_journals(session, file)]
        )
    return found


def _partial_fold(session: Session) -> Result | None:
    try:
        return read_result(session.folded) if session.folded.exists() else None
    except DataFileUnusable:
        return None  # a combination reports it


def _facts_in_fold(mark: Mark, folded: Result | None) -> list[MarkedFacts]:
    """What combinations took out of journals before the mark was set.

    A combination adds the marks that it finds to the fold. So a mark that is not there was set later.
    """
    if folded is None:
        return []
    if mark in folded.marks:
        return [folded.marks[mark]]
    return [facts_in_any_context(folded.lines, folded.arcs)]


def _facts_in_journals(session: Session, file: MarkFile) -> MarkedFacts:
    """What the journals that are there now held when the mark was set."""
    tails: dict[str, dict[int, int]] = defaultdict(dict)
    for (name, offset), tail in file.tails.items():
        tails[name][offset] = tail
    base = len(str(session.path)) + 1
    union = ImageFold()
    for _, files in groupby(session.journals(), key=lambda each: each.image_id):
        images: dict[str, list[Journal]] = defaultdict(list)
        for found in files:
            for journal in _earlier(session, file, found, tails.get(found.path[base:])):
                images[journal.header.image_id].append(journal)
        for journals in images.values():
            union.add(journals, session=session.id, static_context=session.settings.context)
    result = union.result()
    return facts_in_any_context(result.lines, result.arcs)


def _earlier(
    session: Session, file: MarkFile, journal: JournalFile, tails: Mapping[int, int] | None
) -> Sequence[Journal]:
    """The journals in a file as they were when the mark was set."""
    check_owner = partial(session.check_owner, journal)
    try:
        if tails is not None:
            return read_until(journal.path, tails, check_owner)
        if file.sees_all:
            return ()  # it was made later
        # The process could not read it. Nothing that may be older counts as new.
        whole = read_journal(journal.path, session.owner, check_owner)
        slots = read_slots(journal.path, whole.header).journals
    except JournalError:
        return ()  # a combination reports it
    return [each for each in (whole, *slots) if each.header.start_realtime_ns <= file.at_ns]
