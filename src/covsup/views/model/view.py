"""A view: what was executed so far, and what changed since the last look."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from covsup.hints import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from covsup.datafile.fold.result import Result
    from covsup.datafile.fold.sets import ArcSet, LineSet
    from covsup.datafile.provenance.model import Provenance
    from covsup.views.model.history import History


class Change(NamedTuple):
    """What one refresh found. Everything is relative to the refresh before.

    Code that was sent by value (cloudpickle) belongs to no file, and is not in it.
    """

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
    """What was executed so far. One thread at a time may use it.

    The methods about files are cheap: they unite nothing when they are called. Lines always include
    those that arcs begin or end at.
    """

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

    def paths(self) -> Collection[str]:
        """The measured files of which any code ran. Code that was sent by value is not a file."""

    def lines(self, path: str) -> LineSet:
        """The lines of a file that ran in any process and context."""

    def arcs(self, path: str) -> ArcSet | None:
        """The arcs of a file that ran in any process and context; None if only lines are measured."""

    def contexts_of(self, path: str) -> Mapping[str, LineSet]:
        """By label: the lines of a file that ran in that context."""

    def moved_ns(self, path: str) -> int:
        """When a refresh last found new lines of a file, wall clock; 0 = not since the first refresh."""

    @property
    def first_counts(self) -> Mapping[str, int]:
        """By image id: how many lines it was the first to execute."""

    @property
    def history(self) -> History:
        """When lines were found to be new. The first refresh does not count."""
