"""What a session directory holds besides journals: observations, notes, and data files inside it."""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING

from covsup.datafile.database.database import is_data_file
from covsup.datafile.database.read_result import read_result
from covsup.datafile.errors import DataFileUnusable
from covsup.datafile.fold.result import Problem
from covsup.datafile.session.directory import OBSERVATIONS
from covsup.datafile.session.observations import Observation
from covsup.views.model.marks import SETTLED_NS, SessionMarks

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from covsup.datafile.fold.result import Result
    from covsup.datafile.session.directory import Session
    from covsup.datafile.session.marks import Mark, MarkedFacts
    from covsup.datafile.session.notes import SessionNote


class SessionRecords:
    """Reads them again when they have changed."""

    def __init__(self, session: Session) -> None:
        """Nothing is read yet."""
        self._session = session
        self._observed_to = 0
        self._stamps: dict[Path, tuple[int, int, int]] = {}
        self.observations: frozenset[tuple[str, Observation]] = frozenset()
        self.notes: frozenset[tuple[str, SessionNote]] = frozenset()
        self.problems: set[Problem] = set()
        self.marks: dict[Mark, MarkedFacts] = {}
        self.has_new_marks = False
        self._marks = SessionMarks()
        self._folded_marks: dict[Mark, MarkedFacts] = {}
        self._marks_due_ns = 0

    def new_observations(self) -> list[Observation]:
        """The observations that were added since the last call. Raises OSError."""
        path = self._session.path / OBSERVATIONS
        try:
            size = os.stat(path).st_size  # called many times a second
        except FileNotFoundError:
            return []
        if size == self._observed_to:
            return []
        if size < self._observed_to:
            self._observed_to = 0
        with path.open("rb") as file:
            file.seek(self._observed_to)
            text = file.read()
        # The supervisor may be writing the last line.
        whole, newline, _ = text.rpartition(b"\n")
        self._observed_to += len(whole) + len(newline)
        found = list(_observations_in(whole))
        known = self.observations
        self.observations = known | {(self._session.id, each) for each in found}
        return found

    def read_notes(self) -> bool:
        """Read the notes; gives whether there are new ones. Raises OSError."""
        notes = frozenset((self._session.id, note) for note in self._session.notes())
        is_new = not notes <= self.notes
        self.notes |= notes
        return is_new

    def read_marks(self) -> None:
        """Read the marks that are set now. Raises OSError."""
        now = time.time_ns()
        marks = dict(self._folded_marks)
        if self._session.has_marks:
            marks |= self._marks.read(self._session)
        self.has_new_marks |= marks.keys() != self.marks.keys()
        self.marks = marks
        # A new one is read once more when nothing can be added to it.
        newest = max((mark.at_ns for mark in marks), default=0)
        self._marks_due_ns = newest + SETTLED_NS if now < newest + SETTLED_NS else 0

    def read_due_marks(self) -> None:
        """Read marks again that were new when they were read. Raises OSError."""
        if self._marks_due_ns and time.time_ns() > self._marks_due_ns:
            self.read_marks()

    def changed_data_files(self) -> list[Result]:
        """The contents of data files that are new or were replaced: the partial fold, inner runs.

        Raises OSError.
        """
        found = []
        for path in (self._session.folded, *self._session.nested_results()):
            try:
                status = path.stat()
            except FileNotFoundError:
                continue
            stamp = (status.st_mtime_ns, status.st_ino, status.st_size)
            if self._stamps.get(path) == stamp:
                continue
            self._stamps[path] = stamp
            try:
                if is_data_file(path):
                    found.append(read_result(path))
                    self._folded_marks |= found[-1].marks
            except DataFileUnusable as error:
                if path.exists():
                    self.problems.add(
                        Problem(
                            session=self._session.id,
                            journal=path.name,
                            what=str(error),
                            unused=True,
                        )
                    )
        return found


def _observations_in(lines: bytes) -> Iterator[Observation]:
    for line in lines.decode("utf-8", "surrogateescape").splitlines():
        try:
            yield Observation.from_mapping(json.loads(line))
        except ValueError:
            continue  # a killed supervisor left a part of it
