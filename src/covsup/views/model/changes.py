"""What differs between two states of a view, where the later one was not made from the earlier one."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from covsup.views.model.view import Change

if TYPE_CHECKING:
    from covsup.datafile.fold.result import Result
    from covsup.views.model.known_facts import KnownFacts


def change_between(
    earlier: KnownFacts, later: KnownFacts, results: tuple[Result, Result], at_ns: int
) -> Change:
    """The change from one state to the next, whose results are also given."""
    before, after = results
    lines = {
        path: new
        for path, bits in later.lines_of.items()
        if (new := bits & ~earlier.lines_of.get(path, 0))
    }
    by_image: dict[str, int] = defaultdict(int)
    for path, new in lines.items():
        for (_, image_id), bits in later.first.get(path, {}).items():
            if count := (bits & new).bit_count():
                by_image[image_id] += count
    files = {
        path
        for path in {*later.lines_of, *earlier.lines_of}
        if later.contexts_of.get(path) != earlier.contexts_of.get(path)
        or later.arcs_of.get(path) != earlier.arcs_of.get(path)
    }
    return Change(
        at_ns=at_ns,
        lines=lines,
        by_image=dict(by_image),
        files=frozenset(files),
        contexts=frozenset(later.labels - earlier.labels),
        processes=_without_facts(before) != _without_facts(after),
        marks=before.marks.keys() != after.marks.keys(),
    )


def no_change(at_ns: int) -> Change:
    """A change without anything new."""
    return Change(
        at_ns=at_ns, lines={}, by_image={}, files=frozenset(), contexts=frozenset(),
        processes=False, marks=False,
    )  # fmt: skip


def _without_facts(result: Result) -> Result:
    return result._replace(
        kind=None,
        lines={},
        arcs={},
        modules={},
        plugins={},
        versions={},
        first={},
        shared={},
        marks={},
    )
