"""What both kinds of views say of files: see `covsup.views.model.view.View`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from covsup.datafile.fold.result import Kind
from covsup.views.model.history import History
from covsup.views.model.known_facts import KnownFacts

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from covsup.datafile.fold.sets import ArcSet, LineSet
    from covsup.views.model.view import Change


class ViewedFacts:
    """The facts that a view shows, and when they were found."""

    def __init__(self) -> None:
        """Show nothing yet."""
        self.history = History()
        self._facts = KnownFacts()
        self._moved: dict[str, int] = {}
        self._is_begun = False

    @property
    def facts(self) -> KnownFacts:
        """All facts that are shown."""
        return self._facts

    @property
    def first_counts(self) -> Mapping[str, int]:
        """See View."""
        return self._facts.first_counts

    def paths(self) -> Collection[str]:
        """See View."""
        return self._facts.lines_of.keys()

    def lines(self, path: str) -> LineSet:
        """See View."""
        return self._facts.lines_of.get(path, 0)

    def arcs(self, path: str) -> ArcSet | None:
        """See View."""
        return self._facts.arcs_of.get(path, b"") if self._facts.kind is Kind.ARCS else None

    def contexts_of(self, path: str) -> Mapping[str, LineSet]:
        """See View."""
        return self._facts.contexts_of.get(path, {})

    def moved_ns(self, path: str) -> int:
        """See View."""
        return self._moved.get(path, 0)

    def _keep(self, change: Change) -> Change:
        """Take a change into the history, unless it is the first one: its lines may be old."""
        if self._is_begun:
            self.history.add(change.at_ns, change.by_image)
            self._moved.update(dict.fromkeys(change.lines, change.at_ns))
        self._is_begun = True
        return change
