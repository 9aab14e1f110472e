"""A view of a data file."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from covsup.datafile.database.read_result import read_result
from covsup.datafile.fold.result import Result
from covsup.datafile.provenance.derive import provenance_of
from covsup.views.model.changes import change_between, no_change
from covsup.views.model.known_facts import KnownFacts
from covsup.views.model.viewed_facts import ViewedFacts

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from covsup.datafile.provenance.model import Provenance
    from covsup.views.model.view import Change


class DataFileView(ViewedFacts):
    """What a data file holds. A file that is replaced is read again."""

    is_live = False

    def __init__(self, place: Path, renamed: Callable[[Result], Result] | None = None) -> None:
        """`place` is the data file. `renamed` gives its contents with other names of files."""
        super().__init__()
        self.place = place
        self._renamed = renamed
        self.result = Result()
        self._provenance: Provenance | None = None
        self._stamp: tuple[int, int, int] | None = None

    @property
    def provenance(self) -> Provenance:
        """See View."""
        if self._provenance is None:
            self._provenance = provenance_of(self.result)
        return self._provenance

    def refresh(self) -> Change:
        """See View."""
        before, known = self.result, self._facts
        stamp = self._stamp_now()
        if stamp is None or stamp != self._stamp:
            result = read_result(self.place)
            if self._renamed is not None:
                result = self._renamed(result)
            self._facts = KnownFacts()
            self._facts.add(result)
            self.result = self._facts.result_with(result)
            self._provenance, self._stamp = None, stamp
        return self._keep(
            change_between(known, self._facts, (before, self.result), time.time_ns())
            if known is not self._facts
            else no_change(time.time_ns())
        )

    def close(self) -> None:
        """Does nothing: it holds no descriptors."""

    def _stamp_now(self) -> tuple[int, int, int] | None:
        """What changes when the file is replaced. None: read_result() says what is wrong with it."""
        try:
            found = self.place.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_ino, found.st_size
