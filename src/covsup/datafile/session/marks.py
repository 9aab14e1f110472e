"""Marks: moments of a session that the user named, to see what is new since then."""

from __future__ import annotations

from covsup.hints import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from covsup.datafile.fold.sets import ArcSet, LineSet


class Mark(NamedTuple):
    """A named moment of a session."""

    session: str
    name: str
    at_ns: int  # wall clock, ns since 1970


class MarkedFacts(NamedTuple):
    """What had been executed when a mark was set, in any context. By path."""

    lines: Mapping[str, LineSet]
    arcs: Mapping[str, ArcSet]

    def without_paths(self, paths: Collection[str]) -> MarkedFacts:
        """The same without what was executed in these files."""
        return MarkedFacts(
            {path: bits for path, bits in self.lines.items() if path not in paths},
            {path: arcs for path, arcs in self.arcs.items() if path not in paths},
        )
