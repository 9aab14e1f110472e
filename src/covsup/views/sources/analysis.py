"""What a source file has to run, by coverage.py's rules, and how much of it ran.

The numbers are those of `coverage report`: statements, exclusions and branches come from coverage.py's
file reporters, and are counted as `coverage.results` counts them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from covsup.datafile.fold.sets import arcs_in, line_set_of, lines_in
from covsup.hints import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from coverage.plugin import FileReporter

    from covsup.datafile.fold.sets import Arc, ArcSet, LineSet


class Region(NamedTuple):
    """A function or a class of a source file."""

    kind: str  # "function" or "class"
    name: str  # qualified: "Class.method"
    start: int  # the line of its `def` or `class`
    lines: LineSet  # the statements of its body; those of functions inside it are not among them


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
    """What a source file has to run."""

    statements: LineSet
    excluded: LineSet
    first_lines: Mapping[int, int]  # of lines inside a statement: the statement's first line
    exits: Mapping[int, int]  # by line: its number of exits, where there are several
    arcs: frozenset[Arc]  # every possible arc
    no_branch: frozenset[int]  # lines whose branches do not count ("pragma: no branch")
    regions: tuple[Region, ...]  # in the order of their first lines

    def coverage(self, lines: LineSet, arcs: ArcSet | None) -> FileCoverage:
        """How much ran. `arcs` is None where lines were measured and not branches."""
        executed = line_set_of({self._first(line) for line in lines_in(lines)}) & self.statements
        if arcs is None:
            return FileCoverage(self.statements, executed, 0, {})
        taken = self._taken(arcs_in(arcs), lines)
        missing: dict[int, list[int]] = {}
        for start, end in sorted(self.arcs - taken):
            is_counted = start not in self.no_branch and not self._is_excluded(end)
            if start in self.exits and is_counted:
                missing.setdefault(start, []).append(end)
        return FileCoverage(
            self.statements,
            executed,
            sum(self.exits.values()),
            {line: tuple(ends) for line, ends in missing.items()},
        )

    def _first(self, line: int) -> int:
        if line < 0:
            return -self.first_lines.get(-line, -line)
        return self.first_lines.get(line, line)

    def _is_excluded(self, line: int) -> bool:
        return line > 0 and bool(self.excluded >> line & 1)

    def _taken(self, arcs: Iterable[Arc], lines: LineSet) -> set[Arc]:
        """The arcs by statements. A line that only begins one arc has taken it when it ran."""
        taken = {(self._first(start), self._first(end)) for start, end in arcs}
        ends: dict[int, set[int]] = {}
        for start, end in self.arcs:
            ends.setdefault(start, set()).add(end)
        for line in map(self._first, lines_in(lines)):
            if len(only := ends.get(line, ())) == 1:
                taken.add((line, *only))
        return taken


def analyse(reporter: FileReporter) -> SourceAnalysis:
    """The analysis of a file, by its reporter. Raises coverage.exceptions.CoverageException."""
    exits = {line: count for line, count in reporter.exit_counts().items() if count > 1}
    statements = reporter.lines()
    parser = getattr(reporter, "parser", None)
    first_lines = dict(parser.multiline_map) if parser is not None else {}
    return SourceAnalysis(
        statements=line_set_of(statements),
        excluded=line_set_of(reporter.excluded_lines()),
        first_lines={line: first for line, first in first_lines.items() if line != first},
        exits=exits,
        arcs=frozenset(reporter.arcs()),
        no_branch=frozenset(reporter.no_branch_lines()),
        regions=tuple(
            Region(
                kind=each.kind,
                name=each.name,
                start=each.start,
                lines=line_set_of(each.lines & statements),
            )
            for each in sorted(reporter.code_regions(), key=lambda each: each.start)
        ),
    )
