"""A view of a data file."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from covsup.datafile.database.read_result import read_result
from covsup.datafile.fold.result import Result
from covsup.datafile.provenance.derive import provenance_of
from covsup.views.model.changes import change_between

if TYPE_CHECKING:
    from pathlib import Path

    from covsup.datafile.provenance.model import Provenance
    from covsup.views.model.view import Change


class DataFileView:
    """What a data file holds. A file that is replaced is read again."""

    is_live = False

    def __init__(self, place: Path) -> None:
        """`place` is the data file."""
        self.place = place
        self.result = Result()
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
        return change_between(before, self.result, time.time_ns())
