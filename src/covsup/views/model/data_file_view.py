"""A view of a data file."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from covsup.datafile.database.read_result import read_result
from covsup.datafile.fold.result import Result
from covsup.datafile.provenance.derive import provenance_of
from covsup.views.model.changes import change_between
from covsup.views.model.facts_by_file import FactsByFile
from covsup.views.model.history import History

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from covsup.datafile.fold.sets import ArcSet, LineSet
    from covsup.datafile.provenance.model import Provenance
    from covsup.views.model.view import Change


class DataFileView:
    """What a data file holds. A file that is replaced is read again."""

    is_live = False

    def __init__(self, place: Path) -> None:
        """`place` is the data file."""
        self.place = place
        self.result = Result()
        self.history = History()
        self._by_file = FactsByFile()
        self._moved: dict[str, int] = {}
        self._is_first = True
        self._provenance: Provenance | None = None
        self._read_at: tuple[int, int] | None = None

    @property
    def provenance(self) -> Provenance:
        """See View."""
        if self._provenance is None:
            self._provenance = provenance_of(self.result)
        return self._provenance

    def refresh(self) -> Change:
        """See View."""
        before, self_stamp = self.result, None
        try:
            found = self.place.stat()
            self_stamp = (found.st_mtime_ns, found.st_ino)
        except OSError:
            pass  # read_result() says what is wrong
        if self_stamp is None or self_stamp != self._read_at:
            self.result = read_result(self.place)
            self._provenance, self._read_at = None, self_stamp
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
