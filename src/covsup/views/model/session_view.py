"""A view of a session directory, also while its processes run."""

from __future__ import annotations

import time
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING

from covsup.datafile.errors import JournalError
from covsup.datafile.fold.fold import fold
from covsup.datafile.fold.gather import ImageFold, session_result
from covsup.datafile.fold.result import Result
from covsup.datafile.journal.reader import read_journal, read_slots
from covsup.datafile.provenance.derive import provenance_of
from covsup.datafile.session.directory import open_session
from covsup.views.model.changes import change_between
from covsup.views.model.facts_by_file import FactsByFile
from covsup.views.model.history import History
from covsup.views.model.marks import SessionMarks

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from covsup.datafile.fold.sets import ArcSet, LineSet
    from covsup.datafile.journal.reader import Journal
    from covsup.datafile.provenance.model import Provenance
    from covsup.views.model.view import Change


class SessionView:
    """What the processes of a session have executed so far."""

    is_live = True

    def __init__(self, place: Path) -> None:
        """`place` is the session directory. Raises SessionUnreadable."""
        self.place = place
        self.result = Result()
        self._session = open_session(place)
        self.history = History()
        self._by_file = FactsByFile()
        self._moved: dict[str, int] = {}
        self._is_first = True
        self._provenance: Provenance | None = None
        self._marks = SessionMarks()

    @property
    def provenance(self) -> Provenance:
        """See View."""
        if self._provenance is None:
            self._provenance = provenance_of(self.result)
        return self._provenance

    def refresh(self) -> Change:
        """See View."""
        before, session = self.result, self._session
        union = ImageFold()
        for _, files in groupby(session.journals(), key=lambda each: each.image_id):
            images: dict[str, list[Journal]] = {}
            for file in files:
                try:
                    journal = read_journal(
                        file.path, session.owner, partial(session.check_owner, file)
                    )
                    slots = read_slots(file.path, journal.header).journals
                except JournalError:
                    continue
                for each in (journal, *slots):
                    images.setdefault(each.header.image_id, []).append(each)
            for journals in images.values():
                union.add(journals, session=session.id, static_context=session.settings.context)
        self.result = fold(
            [
                union.result(),
                session_result(session.settings, session.notes(), session.observations()),
            ]
        )
        if session.has_marks:
            self.result = self.result._replace(marks=self._marks.read(session))
        self._provenance = None
        change = change_between(before, self.result, time.time_ns())
        self._by_file = FactsByFile(self.result)
        if not self._is_first:
            self.history.add(change.at_ns, change.by_image)
            self._moved.update(dict.fromkeys(change.lines, change.at_ns))
        self._is_first = False
        return change

    @property
    def first_counts(self) -> Mapping[str, int]:
        """See View."""
        return self._by_file.first_counts

    def paths(self) -> Collection[str]:
        """See View."""
        return self._by_file.lines.keys()

    def lines(self, path: str) -> LineSet:
        """See View."""
        return self._by_file.lines.get(path, 0)

    def arcs(self, path: str) -> ArcSet | None:
        """See View."""
        return self._by_file.arcs.get(path, b"") if self._by_file.has_arcs else None

    def contexts_of(self, path: str) -> Mapping[str, LineSet]:
        """See View."""
        return self._by_file.contexts.get(path, {})

    def moved_ns(self, path: str) -> int:
        """See View."""
        return self._moved.get(path, 0)
