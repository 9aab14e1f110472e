"""What differs between two results, of which the later one holds all of the earlier one."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from covsup.views.model.view import Change

if TYPE_CHECKING:
    from covsup.datafile.fold.result import Result
    from covsup.datafile.fold.sets import LineSet


def change_between(earlier: Result, later: Result, at_ns: int) -> Change:
    """The change from one result to the next."""
    before, now = lines_by_path(earlier), lines_by_path(later)
    lines = {path: new for path, bits in now.items() if (new := bits & ~before.get(path, 0))}
    by_image: dict[str, int] = defaultdict(int)
    for path, new in lines.items():
        for (_, image_id), bits in later.first.get(path, {}).items():
            if count := (bits & new).bit_count():
                by_image[image_id] += count
    files = {
        path
        for new, old in ((later.lines, earlier.lines), (later.arcs, earlier.arcs))
        for key in new
        if new[key] != old.get(key)
        for path in key[:1]
    }
    return Change(
        at_ns=at_ns,
        lines=lines,
        by_image=dict(by_image),
        files=frozenset(files),
        contexts=frozenset({each for _, each in later.lines} - {each for _, each in earlier.lines}),
        processes=later.images != earlier.images or later.observations != earlier.observations,
        marks=later.marks.keys() != earlier.marks.keys(),
    )


def lines_by_path(result: Result) -> dict[str, LineSet]:
    """The lines of each file that ran in any context."""
    lines: dict[str, LineSet] = defaultdict(int)
    for (path, _), bits in result.lines.items():
        lines[path] |= bits
    return dict(lines)
