"""A view: what was executed so far, and what changed since the last look."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from covsup.hints import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from covsup.datafile.fold.result import Result
    from covsup.datafile.fold.sets import LineSet
    from covsup.datafile.provenance.model import Provenance


class Change(NamedTuple):
    """What one refresh found. Everything is relative to the refresh before."""

    at_ns: int  # when it was found, wall clock
    lines: Mapping[str, LineSet]  # by path: the lines that ran for the first time in any process
    by_image: Mapping[str, int]  # by image id: how many of these lines it was the first to execute
    files: frozenset[str]  # paths with new facts of any kind: lines, arcs, contexts
    contexts: frozenset[str]  # labels that are new
    processes: bool  # whether the provenance may differ
    marks: bool  # whether a mark was set

    def __bool__(self) -> bool:
        """Whether anything changed."""
        return bool(self.files or self.contexts or self.processes or self.marks)


class View(Protocol):
    """What was executed so far. One thread at a time may use it."""

    @property
    def place(self) -> Path:
        """The session directory or the data file."""

    @property
    def is_live(self) -> bool:
        """Whether processes may still add to it."""

    @property
    def result(self) -> Result:
        """All that is known. Valid until the next refresh: its maps may be changed then."""

    @property
    def provenance(self) -> Provenance:
        """Which processes there are, and how each ended. Derived when it is asked for."""

    def refresh(self) -> Change:
        """Read what is new. The first call reads everything.

        Raises CovsupError where the place cannot be read; what was known before stays.
        """
