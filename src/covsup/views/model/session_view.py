"""A view of a session directory, also while its processes run, and of its result afterwards."""

from __future__ import annotations

import time
import weakref
from typing import TYPE_CHECKING, Final

from covsup.datafile.errors import DataFileUnusable, SessionUnreadable
from covsup.datafile.fold.fold import remapped
from covsup.datafile.fold.result import Result
from covsup.datafile.provenance.derive import provenance_of
from covsup.datafile.session.directory import open_session
from covsup.views.model.changes import change_between, no_change
from covsup.views.model.data_file_view import DataFileView
from covsup.views.model.ended_sessions import data_file_with
from covsup.views.model.known_shares import KnownShares
from covsup.views.model.session_reader import SessionReader
from covsup.views.model.view import Change
from covsup.views.model.viewed_facts import ViewedFacts

if TYPE_CHECKING:
    from pathlib import Path

    from covsup.datafile.provenance.model import Provenance

_SLOW_SECONDS: Final = 0.02
"""A provenance that takes more CPU time than this is not derived for each change."""

_WAIT_FACTOR: Final = 10
"""It is then derived again after so many times the CPU time that it took."""


class SessionView(ViewedFacts):
    """What the processes of a session have executed so far.

    When the run has ended and its directory is gone, it shows the data file that has the session.
    """

    def __init__(self, place: Path) -> None:
        """`place` is the session directory. Raises SessionUnreadable."""
        super().__init__()
        self.place = place
        self.is_live = True
        self.result = Result()
        self._session = open_session(place)
        self._reader = SessionReader(self._session)
        self._close = weakref.finalize(self, self._reader.close)
        self._reader.images.sessions[self._session.id] = self._session.settings
        self._ended: DataFileView | None = None
        self._shares = KnownShares()
        self._provenance: Provenance | None = None
        self._is_outdated = True
        self._is_owed = False
        """Whether a caller got an outdated provenance."""
        self._due = 0.0

    @property
    def provenance(self) -> Provenance:
        """See View."""
        is_due = time.monotonic() >= self._due
        if self._provenance is None or (self._is_outdated and is_due):
            began = time.thread_time()
            shares = self._shares.of(self._reader.facts)
            self._provenance = provenance_of(self.result, shares)
            self._is_outdated = self._is_owed = False
            took = time.thread_time() - began
            wait = _WAIT_FACTOR * took if took > _SLOW_SECONDS else 0.0
            self._due = time.monotonic() + wait
        else:
            self._is_owed = self._is_outdated
        return self._provenance

    def close(self) -> None:
        """Close the descriptors that it holds. This also happens when it is garbage."""
        self._close()

    def forget_tables_beyond(self, entries: int) -> None:
        """Keep fewer tables of ids in memory. Journals are then read again more often."""
        self._reader.table_entries = entries

    def refresh(self) -> Change:
        """See View."""
        if self._ended is not None:
            return self._refresh_ended(self._ended)
        try:
            self._reader.refresh()
        except OSError as error:
            if self._session.is_there():
                raise SessionUnreadable(
                    f"cannot read {self.place}: {error.strerror or error}"
                ) from error
        if not self._session.is_there():
            return self._go_over()
        return self._keep(self._take_change())

    def _take_change(self) -> Change:
        """What the reader found."""
        reader = self._reader
        images, records, new = reader.images, reader.records, reader.facts.take_new()
        self._facts = reader.facts
        self.result = images.fill(
            reader.facts.result_with(Result()),
            records.observations,
            records.notes,
            records.problems,
        )._replace(marks=records.marks)
        if images.changed or images.counted:
            self._is_outdated = True
        is_owed = self._is_owed and time.monotonic() >= self._due
        processes = images.changed or is_owed
        has_new_marks = records.has_new_marks
        images.changed = images.counted = records.has_new_marks = False
        self.is_live = bool(reader.followed) or not self._session.supervisor_has_ended
        return Change(
            at_ns=time.time_ns(),
            lines=new.lines,
            by_image=new.by_image,
            files=new.files,
            contexts=new.contexts,
            processes=processes,
            marks=has_new_marks,
        )

    def _go_over(self) -> Change:
        """Show the data file from now on: the session directory is gone."""
        self.is_live = False
        found = data_file_with(self._session.settings)
        if found is None:
            # It was erased, or will be made again. What was known is still shown.
            return self._keep(no_change(time.time_ns()))
        self.close()
        self._ended = DataFileView(found, self._with_known_names)
        return self._refresh_ended(self._ended)

    def _with_known_names(self, result: Result) -> Result:
        """A result with relative paths as the processes knew them (`relative_files`)."""
        known, base = self._reader.facts.lines_of, self._session.settings.cwd
        absolute = {
            path: joined
            for path in result.paths()
            if not path.startswith("/") and (joined := f"{base}/{path}") in known
        }
        if not absolute:
            return result
        return remapped(result, lambda path: absolute.get(path, path))

    def _refresh_ended(self, ended: DataFileView) -> Change:
        facts, result = self._facts, self.result
        try:
            ended.refresh()
        except DataFileUnusable:
            if not self._session.is_there() and not ended.place.exists():
                return no_change(time.time_ns())
            raise
        if ended.facts is facts:
            return no_change(time.time_ns())
        self._facts, self.result, self._provenance = ended.facts, ended.result, ended.provenance
        self._is_outdated = self._is_owed = False
        return self._keep(change_between(facts, self._facts, (result, self.result), time.time_ns()))
