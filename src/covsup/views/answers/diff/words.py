"""Lines, branches and counts in words, for all formats."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from covsup.datafile.fold.sets import lines_in

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from covsup.datafile.fold.sets import Arc, LineSet
    from covsup.views.answers.diff.compare import Counts, Diff

_SHOWN = 3


def ranges(lines: LineSet, statements: LineSet) -> list[str]:
    """Lines as "3" and "5-9". A range goes on over lines that are no statements, if these are known."""
    found: list[list[int]] = []
    for line in lines_in(lines):
        if found and not _between(found[-1][1], line, statements):
            found[-1][1] = line
        else:
            found.append([line, line])
    return [str(first) if first == last else f"{first}-{last}" for first, last in found]


def _between(one: int, other: int, statements: LineSet) -> bool:
    """Whether two lines are apart: a statement is between them."""
    if other == one + 1:
        return False
    between = ((1 << other) - 1) & ~((1 << (one + 1)) - 1)
    return not statements or bool(statements & between)


def branches(arcs: Sequence[Arc]) -> list[str]:
    """Branches as "3->5" and "3->exit"."""
    return [f"{start}->{end if end > 0 else 'exit'}" for start, end in arcs]


def shown_path(path: str) -> str:
    """A path as the reader knows it: relative, if it is below this directory."""
    relative = os.path.relpath(path)
    return path if relative.startswith(os.pardir + os.sep) else relative


def counted(number: int, one: str, more: str | None = None) -> str:
    """A number with its noun."""
    return f"{number} {one if number == 1 else more or one + 's'}"


def percent(counts: Counts | None) -> str:
    """A percentage, never 100 % or 0 % if that is only almost true."""
    if counts is None:
        return "-"
    value = counts.percent
    if 0 < value < 0.05:
        return "0.1 %"
    if 99.95 < value < 100:
        return "99.9 %"
    return f"{value:.1f} %"


def change(old: Counts, new: Counts) -> str:
    """The change between two percentages, in points."""
    difference = new.percent - old.percent
    return "unchanged" if abs(difference) < 0.005 else f"{difference:+.2f}"


def first_few(paths: Sequence[str]) -> str:
    """The first files, and how many more there are."""
    more = f" and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else ""
    return ", ".join(map(shown_path, paths[:_SHOWN])) + more


def notes(diff: Diff) -> Iterator[str]:
    """What a reader has to know to read the answer."""
    if diff.is_mixed:
        yield (
            f"{diff.old_name} and {diff.new_name}: one measured branches and the other lines, so"
            " lines are compared"
        )
    if diff.by_number:
        yield (
            f"{first_few(diff.by_number)}: edited between the two measurements, and a text is"
            " not known, so lines are compared by their numbers: give --old-source or --new-source"
        )
    if diff.edited:
        yield (
            f"{first_few(diff.edited)}: edited while one side was measured, so lines of one version"
            " count for the other"
        )
    if diff.gone:
        yield f"{counted(len(diff.gone), 'file')} not there any more, which counts as no loss"
    if diff.uncounted:
        yield (
            f"the totals lack {counted(diff.uncounted, 'file')} whose source is not here as it was"
            " measured"
        )
