"""Unite what had been executed when marks were set."""

from __future__ import annotations

from covsup.datafile.fold.sets import arcs_in, line_set_of, unite_arcs
from covsup.datafile.session.marks import MarkedFacts
from covsup.hints import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from covsup.datafile.fold.result import PathContext
    from covsup.datafile.fold.sets import ArcSet, LineSet


def united_facts(
    parts: Iterable[MarkedFacts], new_path: Mapping[str, str] | None = None
) -> MarkedFacts:
    """The union of what was executed. `new_path` maps every path to a new one; None: paths stay."""
    lines: dict[str, LineSet] = {}
    arcs: dict[str, ArcSet] = {}
    for part in parts:
        for path, bits in part.lines.items():
            to = path if new_path is None else new_path[path]
            lines[to] = lines.get(to, 0) | bits
        for path, pairs in part.arcs.items():
            to = path if new_path is None else new_path[path]
            arcs[to] = unite_arcs(arcs[to], pairs) if to in arcs else pairs
    return MarkedFacts(lines, arcs)


def facts_in_any_context(
    lines: Mapping[PathContext, LineSet], arcs: Mapping[PathContext, ArcSet]
) -> MarkedFacts:
    """What a result says was executed, without the contexts. The ends of an arc are lines, too."""
    lines_of: dict[str, LineSet] = {}
    arcs_of: dict[str, ArcSet] = {}
    for (path, _), bits in lines.items():
        lines_of[path] = lines_of.get(path, 0) | bits
    for (path, _), pairs in arcs.items():
        arcs_of[path] = unite_arcs(arcs_of[path], pairs) if path in arcs_of else pairs
    for path, pairs in arcs_of.items():
        lines_of[path] = lines_of.get(path, 0) | lines_of_arcs(pairs)
    return MarkedFacts(lines_of, arcs_of)


def lines_of_arcs(arcs: ArcSet) -> LineSet:
    """The lines at the ends of arcs. A negative end is that of a code object, and no line."""
    return line_set_of({end for arc in arcs_in(arcs) for end in arc if end > 0})
