"""One of the two measurements that are compared: a session or a data file, now or at a mark."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from covsup.datafile.database.read_result import files_in
from covsup.datafile.errors import CovsupError
from covsup.datafile.fold.marked_facts import facts_in_any_context
from covsup.datafile.fold.result import Kind
from covsup.datafile.fold.sets import arc_set_of, arcs_in, unite_arcs
from covsup.datafile.journal.by_value_names import is_sent_code
from covsup.hints import NamedTuple
from covsup.views.model.marks import find_mark, lines_of_other_sessions, newest_first
from covsup.views.model.open_view import open_view

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from covsup.datafile.fold.result import PathContext, Result, Version
    from covsup.datafile.fold.sets import ArcSet, LineSet
    from covsup.datafile.session.marks import Mark
    from covsup.views.model.view import View

_SHOWN = 5


class NoSuchMark(CovsupError):
    """A place has no mark of this name."""


class Moment(NamedTuple):
    """A place, now or when a mark was set."""

    place: Path
    mark: str | None  # None = now


class Side(NamedTuple):
    """What a measurement covers. Paths are absolute."""

    name: str  # for the reader
    has_arcs: bool
    lines: Mapping[str, LineSet]
    arcs: Mapping[str, ArcSet]
    contexts: Mapping[PathContext, LineSet]  # empty at a mark, which does not know them
    labels: Mapping[str, tuple[str, ...]]  # by path: the contexts that ran any of it
    versions: Mapping[str, frozenset[Version]]
    plugins: Mapping[str, frozenset[str]]
    files: frozenset[str]  # with those that never ran, as far as they are known


def read_sides(old: Moment, new: Moment, map_path: Callable[[str], str]) -> tuple[Side, Side]:
    """Both measurements. `map_path` gives the path under which a file is reported.

    Raises CovsupError for a place that cannot be read, and NoSuchMark.
    """
    view = open_view(old.place)
    view.refresh()
    of_mark = None if old.mark is None else _mark_in(view.result, old)
    if new.place == old.place:
        since = of_mark if new.mark is None else None
        return _side(view, of_mark, None, map_path), _side(
            view, None if new.mark is None else _mark_in(view.result, new), since, map_path
        )
    earlier = _side(view, of_mark, None, map_path)
    view = open_view(new.place)
    view.refresh()
    mark = None if new.mark is None else _mark_in(view.result, new)
    return earlier, _side(view, mark, None, map_path)


def _mark_in(result: Result, moment: Moment) -> Mark:
    assert moment.mark is not None
    # Bytes that are not UTF-8 are escapes in the name of a mark.
    found = find_mark(result, moment.mark.encode("utf-8", "backslashreplace").decode())
    if found is None:
        names = list(dict.fromkeys(repr(mark.name) for mark in newest_first(result)))
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        known = f"its marks are {', '.join(names[:_SHOWN])}{more}" if names else "it has no marks"
        raise NoSuchMark(f"{moment.place} has no mark {moment.mark!r}: {known}")
    return found


def _side(
    view: View, mark: Mark | None, since: Mark | None, map_path: Callable[[str], str]
) -> Side:
    """A side of a view. `since` is a mark that it is compared with: other sessions do not count."""
    result = view.result

    def mapped(path: str) -> str:
        return os.path.abspath(map_path(path))

    facts = facts_in_any_context(result.lines, result.arcs) if mark is None else result.marks[mark]
    elsewhere = {} if since is None else lines_of_other_sessions(result, since.session)
    lines: dict[str, LineSet] = {}
    arcs: dict[str, ArcSet] = {}
    for path, bits in facts.lines.items():
        if not is_sent_code(path):
            lines[mapped(path)] = lines.get(mapped(path), 0) | bits & ~elsewhere.get(path, 0)
    for path, pairs in facts.arcs.items():
        if not is_sent_code(path):
            own = _without(pairs, elsewhere.get(path, 0))
            known = arcs.get(mapped(path))
            arcs[mapped(path)] = own if known is None else unite_arcs(known, own)
    contexts: dict[PathContext, LineSet] = {}
    for path in view.paths() if mark is None else ():
        for label, bits in view.contexts_of(path).items():
            key = mapped(path), label
            contexts[key] = contexts.get(key, 0) | bits
    listed = {} if view.is_live or mark is not None else files_in(view.place)
    return Side(
        name=_name(view, mark),
        has_arcs=result.kind is Kind.ARCS,
        lines=lines,
        arcs=arcs,
        contexts=contexts,
        labels=_labels(contexts),
        versions={mapped(path): each for path, each in result.versions.items()},
        plugins={mapped(path): each for path, each in result.plugins.items()},
        files=frozenset({*lines, *map(mapped, listed)}),
    )


def _labels(contexts: Mapping[PathContext, LineSet]) -> dict[str, tuple[str, ...]]:
    labels: dict[str, list[str]] = {}
    for path, label in sorted(contexts):
        labels.setdefault(path, []).append(label)
    return {path: tuple(found) for path, found in labels.items()}


def _without(arcs: ArcSet, lines: LineSet) -> ArcSet:
    """The arcs that touch none of these lines."""
    if not lines:
        return arcs
    return arc_set_of(
        arc for arc in arcs_in(arcs) if not any(end > 0 and lines >> end & 1 for end in arc)
    )


def _name(view: View, mark: Mark | None) -> str:
    if mark is not None:
        return f"mark {mark.name} of session {mark.session}"
    if view.is_live:
        return f"session {view.place.name}"
    return f"data file {os.path.relpath(view.place)}"
