"""What a source file has to run, by coverage.py's rules, and how much of it ran.

The numbers are those of `coverage report`: statements, exclusions and branches come from coverage.py's
file reporters, and are counted as `coverage.results` counts them. An analysis keeps no text and no
object per line: it takes some kilobytes for a file of 300 lines.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from covsup.datafile.fold.sets import arc_set_of, arcs_in, line_set_of, lines_in
from covsup.hints import NamedTuple
from covsup.views.sources.regions import regions_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from coverage.plugin import FileReporter

    from covsup.datafile.fold.sets import Arc, ArcSet, LineSet
    from covsup.views.sources.regions import Region


class FileCoverage(NamedTuple):
    """How much of a source file ran."""

    statements: LineSet
    executed: LineSet  # statements
    branches: int  # exits of lines that have several
    missing_branches: Mapping[int, tuple[int, ...]]  # by line: the exits that were not taken

    @property
    def missing(self) -> LineSet:
        """The statements that did not run."""
        return self.statements & ~self.executed

    @property
    def taken(self) -> int:
        """The number of branches that were taken."""
        return self.branches - sum(map(len, self.missing_branches.values()))

    @property
    def percent(self) -> float:
        """Statements and branches that ran, of 100. A file without any has 100."""
        total = self.statements.bit_count() + self.branches
        ran = self.executed.bit_count() + self.taken
        return 100.0 * ran / total if total else 100.0


class SourceAnalysis(NamedTuple):
    """What a source file has to run. Pairs of numbers are packed as sets of arcs are."""

    statements: LineSet
    excluded: LineSet
    inner_lines: ArcSet  # of lines inside a statement: the line, and the statement's first line
    arcs: ArcSet  # every possible arc
    branches: ArcSet  # the arcs that count as missing branches if they were not taken
    branch_exits: ArcSet  # the lines that have several exits, and the number of exits
    jump_fixes: ArcSet  # in twos: an arc, and the arc that counts in its place; (0, 0) = none
    regions: tuple[Region, ...]  # in the order of their first lines

    @property
    def exits(self) -> Mapping[int, int]:
        """By line: its number of exits, where there are several."""
        return _pairs(self.branch_exits)

    def first_line(self, line: int) -> int:
        """The first line of the statement that the line belongs to."""
        if line < 0:
            return -self.first_line(-line)
        return _pairs(self.inner_lines).get(line, line)

    def first_lines(self, lines: LineSet) -> LineSet:
        """The first lines of the statements that the lines belong to."""
        inner = _pairs(self.inner_lines)
        if not inner:
            return lines
        inside = lines & _keys(self.inner_lines)
        return (lines & ~inside) | line_set_of({inner[line] for line in lines_in(inside)})

    def coverage(self, lines: LineSet, arcs: ArcSet | None) -> FileCoverage:
        """How much ran. `arcs` is None where lines were measured and not branches."""
        executed = self.first_lines(lines) & self.statements
        if arcs is None:
            return FileCoverage(self.statements, executed, 0, {})
        missing: dict[int, list[int]] = {}
        for start, end in sorted({*arcs_in(self.branches)} - self.taken(arcs)):
            missing.setdefault(start, []).append(end)
        return FileCoverage(
            self.statements,
            executed,
            sum(self.exits.values()),
            {line: tuple(ends) for line, ends in missing.items()},
        )

    def taken(self, arcs: ArcSet) -> set[Arc]:
        """Executed arcs as arcs between statements, to compare with the possible ones."""
        once = self._translated(arcs_in(arcs))
        # coverage.py translates twice, and the second time may replace more arcs at `with`.
        return self._translated(once) if self.jump_fixes else once

    def _translated(self, arcs: Iterable[Arc]) -> set[Arc]:
        first = _pairs(self.inner_lines)
        if self.jump_fixes:
            fixes = _fixes(self.jump_fixes)
            arcs = [fixed for arc in arcs if (fixed := fixes.get(arc, arc)) != (0, 0)]
        if not first:
            return set(arcs)
        return {
            (
                first.get(start, start) if start > 0 else -first.get(-start, -start),
                first.get(end, end) if end > 0 else -first.get(-end, -end),
            )
            for start, end in arcs
        }


def analyse(reporter: FileReporter) -> SourceAnalysis:
    """The analysis of a file, by its reporter. Raises coverage.exceptions.CoverageException."""
    statements, excluded = reporter.lines(), reporter.excluded_lines()
    regions = regions_of(reporter, statements)  # before the arcs: these drop the syntax tree
    arcs = reporter.arcs()
    exits = {line: count for line, count in reporter.exit_counts().items() if count > 1}
    no_branch = reporter.no_branch_lines() if exits else set()
    return SourceAnalysis(
        statements=line_set_of(statements),
        excluded=line_set_of(excluded),
        inner_lines=arc_set_of(_inner_lines(reporter).items()),
        arcs=arc_set_of(arcs),
        branches=arc_set_of(
            (start, end)
            for start, end in arcs
            if start in exits and start not in no_branch and end not in excluded
        ),
        branch_exits=arc_set_of(exits.items()),
        jump_fixes=_jump_fixes(reporter),
        regions=regions,
    )


def _inner_lines(reporter: FileReporter) -> Mapping[int, int]:
    """By line inside a statement: the statement's first line."""
    parser = getattr(reporter, "parser", None)
    if parser is not None:
        return {line: first for line, first in parser.multiline_map.items() if line != first}
    # The reporter of a plugin only translates sets of lines.
    last = reporter.source().count("\n") + 1
    translated = ((line, reporter.translate_lines([line])) for line in range(1, last + 1))
    return {line: min(found) for line, found in translated if found and line not in found}


def _jump_fixes(reporter: FileReporter) -> ArcSet:
    """The arcs at `with` statements that coverage.py replaces. `reporter.arcs()` was called before."""
    parser = getattr(reporter, "parser", None)
    fixers = getattr(parser, "_with_jump_fixers", {})
    return b"".join(
        arc_set_of([arc]) + arc_set_of([fixed or (0, 0)]) for arc, fixed in sorted(fixers.items())
    )


@lru_cache(maxsize=256)
def _pairs(packed: ArcSet) -> dict[int, int]:
    return dict(arcs_in(packed))


@lru_cache(maxsize=256)
def _keys(packed: ArcSet) -> LineSet:
    return line_set_of(_pairs(packed).keys())


@lru_cache(maxsize=256)
def _fixes(packed: ArcSet) -> dict[Arc, Arc]:
    flat = arcs_in(packed)
    return dict(zip(flat[::2], flat[1::2], strict=True))
