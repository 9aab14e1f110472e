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
    from covsup.datafile.journal.header import Header
    from covsup.datafile.journal.reader import Journal
    from covsup.datafile.session.directory import JournalFile, Session
    from covsup.datafile.session.mark_file import Tails


class SessionMarks(NamedTuple):
    """The marks of a session directory."""

    marks: dict[Mark, MarkedFacts]
    problems: list[str]  # files that are no marks, one line each


def read_marks(session: Session, known: Mapping[Mark, MarkedFacts] | None = None) -> SessionMarks:
    """Every mark in a session directory, with what had been executed then.

    Marks in `known` are not read again. Raises OSError.
    """
    found = SessionMarks({}, [])
    new: list[tuple[Mark, MarkFile]] = []
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
        else:
            new.append((mark, file))
    if new:
        folded = _partial_fold(session)
        journals = _EarlierJournals(session)
        for mark, file in sorted(new, key=lambda each: each[1].at_ns):
            found.marks[mark] = united_facts([*_facts_in_fold(mark, folded), journals.at(file)])
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


class _EarlierJournals:
    """What the journals of a session held at earlier moments.

    From one mark to the next, only the journals are read that have grown in between.
    """

    def __init__(self, session: Session) -> None:
        """List the journals. Raises OSError."""
        self._session = session
        self._images = [
            list(files) for _, files in groupby(session.journals(), key=lambda each: each.image_id)
        ]
        self._base = len(str(session.path)) + 1
        self._union = ImageFold()
        self._tails: Tails = {}  # of what is in the union

    def at(self, file: MarkFile) -> MarkedFacts:
        """What they held when a mark was set. It is fastest to ask for the oldest mark first."""
        tails = self._tails_of(file)
        if _grown(tails, self._tails):
            # Two marks were set at the same time: the union has words that came after this one.
            self._union, self._tails = ImageFold(), {}
        grown = _grown(self._tails, tails)
        for files in self._images:
            if not grown.isdisjoint(map(self._name_of, files)):
                self._add(files, tails)
        self._tails = tails
        result = self._union.result()
        return facts_in_any_context(result.lines, result.arcs)

    def _name_of(self, file: JournalFile) -> str:
        return file.path[self._base :]

    def _add(self, files: Sequence[JournalFile], tails: Tails) -> None:
        images: dict[str, list[Journal]] = defaultdict(list)
        for file in files:
            try:
                check_owner = partial(self._session.check_owner, file)
                of_file = tails.get(self._name_of(file), {})
                for journal in read_until(file.path, of_file, check_owner):
                    images[journal.header.image_id].append(journal)
            except JournalError:
                continue  # a combination reports it
        settings = self._session.settings
        for journals in images.values():
            self._union.add(journals, session=settings.session, static_context=settings.context)

    def _tails_of(self, file: MarkFile) -> Tails:
        """The tails at a mark, also of journals that its process could not read."""
        if file.sees_all:
            return file.tails
        tails = dict(file.tails)
        for journal in (each for files in self._images for each in files):
            if self._name_of(journal) in tails:
                continue
            try:
                check_owner = partial(self._session.check_owner, journal)
                whole = read_journal(journal.path, self._session.owner, check_owner)
                slots = read_slots(journal.path, whole.header).journals
            except JournalError:
                continue  # as above
            tails[self._name_of(journal)] = {
                each.header.offset: _tail_unseen(file, each.header) for each in (whole, *slots)
            }
        return tails


def _grown(earlier: Tails, later: Tails) -> set[str]:
    """The files with a journal that is longer later."""
    return {
        name
        for name, tails in later.items()
        if tails != earlier.get(name)
        and any(tail > earlier.get(name, {}).get(at, 0) for at, tail in tails.items())
    }


def _tail_unseen(file: MarkFile, header: Header) -> int:
    """The tail of a journal whose file the process could not read. What may be older is not new."""
    if any(image_id == header.image_id for image_id, _ in file.own_tails):
        return file.own_tails.get((header.image_id, header.segment), 0)
    return header.tail if header.start_realtime_ns <= file.at_ns else 0
