"""Marks, and what is new since one.

A line is new since a mark if no process of the mark's session had executed it, in any context, when
the mark was set.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from covsup.datafile.fold.marked import read_marks
from covsup.datafile.fold.marked_facts import lines_of_arcs
from covsup.datafile.fold.sets import arc_set_of, arcs_in, unite_arcs
from covsup.hints import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from covsup.datafile.fold.result import PathContext, Result
    from covsup.datafile.fold.sets import ArcSet, LineSet
    from covsup.datafile.session.directory import Session
    from covsup.datafile.session.marks import Mark, MarkedFacts

SETTLED_NS = 1_000_000_000
"""A process may be about to store a word that it took before the mark. It takes microseconds."""


class NewFacts(NamedTuple):
    """What was executed after a mark for the first time."""

    lines: Mapping[str, LineSet]  # by path
    arcs: Mapping[str, ArcSet]  # by path
    contexts: Mapping[PathContext, LineSet]  # the same lines, in each context that executed them

    def __bool__(self) -> bool:
        """Whether anything is new."""
        return bool(self.lines or self.arcs)


class SessionMarks:
    """The marks of a session directory while it is watched. Each is read once."""

    def __init__(self) -> None:
        """Nothing is read yet."""
        self._settled: dict[Mark, MarkedFacts] = {}

    def read(self, session: Session) -> Mapping[Mark, MarkedFacts]:
        """The marks that are set now, for `Result.marks`. Raises OSError.

        It costs a listing of the directory, so call it only if `session.has_marks`, which
        `session.journals()` sets.
        """
        found = read_marks(session, self._settled).marks
        settled_ns = time.time_ns() - SETTLED_NS
        self._settled = {mark: facts for mark, facts in found.items() if mark.at_ns < settled_ns}
        return found


def newest_first(result: Result) -> list[Mark]:
    """The marks of a result."""
    return sorted(result.marks, key=lambda mark: mark.at_ns, reverse=True)


def find_mark(result: Result, name: str) -> Mark | None:
    """The newest mark of this name."""
    return next((mark for mark in newest_first(result) if mark.name == name), None)


def new_since(result: Result, mark: Mark) -> NewFacts:
    """What is new since a mark of the result."""
    before = result.marks[mark]
    elsewhere = lines_of_other_sessions(result, mark.session)
    lines: dict[str, LineSet] = {}
    contexts: dict[PathContext, LineSet] = {}
    arcs: dict[str, ArcSet] = {}

    def add_lines(path: str, context: str, bits: LineSet) -> None:
        new = bits & ~before.lines.get(path, 0) & ~elsewhere.get(path, 0)
        if new:
            lines[path] = lines.get(path, 0) | new
            contexts[path, context] = contexts.get((path, context), 0) | new

    for (path, context), bits in result.lines.items():
        add_lines(path, context, bits)
    for (path, context), pairs in result.arcs.items():
        known = before.arcs.get(path, b"")
        if pairs == known:
            continue
        other = elsewhere.get(path, 0)
        new = arc_set_of(
            arc
            for arc in set(arcs_in(pairs)).difference(arcs_in(known))
            if not any(end > 0 and other >> end & 1 for end in arc)
        )
        if new:
            arcs[path] = unite_arcs(arcs[path], new) if path in arcs else new
            add_lines(path, context, lines_of_arcs(new))
    return NewFacts(lines, arcs, contexts)


def lines_of_other_sessions(result: Result, session: str) -> dict[str, LineSet]:
    """Lines that certainly only other sessions executed, in data that were added to older data."""
    if len(result.sessions) < 2:
        return {}
    found: dict[str, LineSet] = {}
    for path, by_image in result.first.items():
        shared = result.shared.get(path, 0)
        for (_, image_id), bits in by_image.items():
            image = result.images.get(image_id)
            if image is not None and image.identity.session != session:
                found[path] = found.get(path, 0) | (bits & ~shared)
    return found
