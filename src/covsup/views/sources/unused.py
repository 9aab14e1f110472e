"""The code of a file that never ran: functions, classes, branches. By coverage.py's exclusions.

Pure: it needs an analysis, and the lines and arcs that ran.
"""

from __future__ import annotations

from enum import Enum
from types import MappingProxyType
from typing import TYPE_CHECKING

from covsup.hints import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from covsup.datafile.fold.sets import ArcSet, LineSet
    from covsup.views.sources.analysis import SourceAnalysis
    from covsup.views.sources.regions import Region


class State(Enum):
    """How far the execution of some code came."""

    NEVER_IMPORTED = "never imported"  # no line of the file ran
    NEVER_DEFINED = "never defined"  # its `def` or `class` did not run
    NEVER_CALLED = "never called"
    PARTLY_RUN = "partly run"  # it was called
    LOAD_TIME = (
        "load time"  # module level and class bodies: partly run when the module was imported
    )


class Unused(NamedTuple):
    """Code that never ran: a module, class, function or method, or a part of it."""

    state: State
    kind: str  # "module", "class", "method" or "function"
    name: str  # qualified; "" of a module
    line: int  # of its `def` or `class`; of a part of a module: the first line concerned
    statements: int  # how many never ran
    missing: LineSet  # these statements
    branches: Mapping[int, tuple[int, ...]]  # by line that ran: the exits that were not taken
    members: tuple[str, ...] = ()  # of a module or class: the functions in it

    @property
    def branch_count(self) -> int:
        """The number of exits that were not taken."""
        return sum(map(len, self.branches.values()))


def unused_in(analysis: SourceAnalysis, lines: LineSet, arcs: ArcSet | None) -> list[Unused]:
    """What never ran of a file, in the order of its lines.

    `arcs` is None where no branches were measured. A class of which no method ran is one entry, and
    so is a module in which nothing was called.
    """
    coverage = analysis.coverage(lines, arcs)
    if not coverage.statements:
        return []
    if not lines:
        return [
            Unused(
                State.NEVER_IMPORTED, "module", "", 1, coverage.statements.bit_count(),
                coverage.statements, MappingProxyType({}), _names(analysis.regions),
            )
        ]  # fmt: skip
    return [*_of_regions(analysis.regions, coverage.executed, coverage.missing_branches),
            *_at_load_time(analysis, coverage.executed, coverage.missing_branches)]  # fmt: skip


def load_time_lines(analysis: SourceAnalysis) -> LineSet:
    """The statements that run when a module is imported: module level and class bodies."""
    lines = analysis.statements
    for region in analysis.regions:
        if region.kind == "function":
            lines &= ~region.lines
    return lines


def _of_regions(
    regions: tuple[Region, ...], executed: LineSet, branches: Mapping[int, tuple[int, ...]]
) -> Iterator[Unused]:
    if len(_countable(regions)) > 1 and _none_ran(regions, executed):
        yield _whole("module", "", 1, regions, State.NEVER_CALLED)
        return
    hidden_until = 0
    for index, region in enumerate(regions):
        if region.start <= hidden_until:
            continue
        inside = [each for each in regions[index:] if each.start <= max(region.end, region.start)]
        is_defined = bool(executed >> region.start & 1)
        state = State.NEVER_CALLED if is_defined else State.NEVER_DEFINED
        if region.kind == "class":
            if len(_countable(inside)) > 1 and _none_ran(inside, executed):
                yield _whole("class", region.name, region.start, inside, state)
                hidden_until = region.end
            continue
        kind = "method" if _is_method(region, regions[:index]) else "function"
        if region.is_declaration or not region.lines:
            continue
        if not region.lines & executed:
            yield _whole(kind, region.name, region.start, inside, state)
            hidden_until = region.end
            continue
        missing = region.lines & ~executed
        not_taken = _within(branches, region.lines & executed)
        if missing or not_taken:
            yield Unused(
                State.PARTLY_RUN, kind, region.name, region.start, missing.bit_count(), missing,
                not_taken,
            )  # fmt: skip


def _at_load_time(
    analysis: SourceAnalysis, executed: LineSet, branches: Mapping[int, tuple[int, ...]]
) -> Iterator[Unused]:
    lines = load_time_lines(analysis)
    missing = lines & ~executed
    not_taken = _within(branches, lines & executed)
    if missing or not_taken:
        first = min([*not_taken, *([(missing & -missing).bit_length() - 1] if missing else [])])
        yield Unused(State.LOAD_TIME, "module", "", first, missing.bit_count(), missing, not_taken)


def _whole(
    kind: str, name: str, line: int, inside: list[Region] | tuple[Region, ...], state: State
) -> Unused:
    """An entry for something of which nothing ran, with all that is in it."""
    lines = 0
    for region in inside:
        if region.kind == "function" and not region.is_declaration:
            lines |= region.lines
    members = _names(inside) if kind in {"module", "class"} else ()
    return Unused(state, kind, name, line, lines.bit_count(), lines, MappingProxyType({}), members)


def _countable(regions: list[Region] | tuple[Region, ...]) -> list[Region]:
    """The functions with a body that is meant to run and is not excluded."""
    return [
        each
        for each in regions
        if each.kind == "function" and each.lines and not each.is_declaration
    ]


def _none_ran(regions: list[Region] | tuple[Region, ...], executed: LineSet) -> bool:
    return not any(each.lines & executed for each in regions if each.kind == "function")


def _names(regions: list[Region] | tuple[Region, ...]) -> tuple[str, ...]:
    return tuple(each.name for each in _countable(regions))


def _is_method(region: Region, before: tuple[Region, ...]) -> bool:
    """Whether the innermost region around it is a class."""
    around = [each for each in before if each.end >= region.start]
    return bool(around) and around[-1].kind == "class"


def _within(
    branches: Mapping[int, tuple[int, ...]], lines: LineSet
) -> Mapping[int, tuple[int, ...]]:
    return {line: ends for line, ends in branches.items() if lines >> line & 1}
