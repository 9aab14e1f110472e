"""`covsup unused`: the code of all files that never ran, biggest first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from covsup.hints import NamedTuple
from covsup.views.answers.measured import shown
from covsup.views.sources.source_library import Priority, SourceUnavailable
from covsup.views.sources.unused import State, load_time_lines, unused_in

if TYPE_CHECKING:
    from collections.abc import Sequence

    from covsup.views.answers.measured import Measured
    from covsup.views.sources.unused import Unused


class UnusedCode(NamedTuple):
    """An entry, and the file that it is in."""

    path: str
    code: Unused


class Totals(NamedTuple):
    """Statements of all files."""

    files: int = 0
    statements: int = 0
    executed: int = 0
    load_time: int = 0  # statements at module level and in class bodies
    load_time_executed: int = 0


class UnusedAnswer(NamedTuple):
    """What never ran."""

    totals: Totals
    entries: tuple[UnusedCode, ...]  # biggest first
    edited: tuple[str, ...]  # files that are newer than the data
    unavailable: tuple[tuple[str, str], ...]  # files without analysis, and why
    has_arcs: bool
    is_live: bool

    def of_states(self, *states: State) -> list[UnusedCode]:
        """The entries in one of these states."""
        return [each for each in self.entries if each.code.state in states]


def unused_code(measured: Measured, words: Sequence[str] = ()) -> UnusedAnswer:
    """What never ran, in all files or in those that the words name. Raises NoSuchSource."""
    library = measured.source_library
    paths = [
        path
        for path in (measured.below(words) if words else measured.paths())
        if library.is_reported(path)
    ]
    library.request(paths, Priority.REST)
    totals = Totals()
    entries, unavailable = [], []
    for path in paths:
        try:
            analysis = library.analysis_soon(path)
        except SourceUnavailable as error:
            unavailable.append((path, str(error)))
            continue
        lines, arcs = measured.lines(path), measured.arcs(path)
        entries += [UnusedCode(path, each) for each in unused_in(analysis, lines, arcs)]
        executed = analysis.first_lines(lines) & analysis.statements
        load_time = load_time_lines(analysis)
        totals = Totals(
            files=totals.files + 1,
            statements=totals.statements + analysis.statements.bit_count(),
            executed=totals.executed + executed.bit_count(),
            load_time=totals.load_time + load_time.bit_count(),
            load_time_executed=totals.load_time_executed + (load_time & executed).bit_count(),
        )
    entries.sort(
        key=lambda each: (-each.code.statements, -each.code.branch_count, each.path, each.code.line)
    )
    return UnusedAnswer(
        totals,
        tuple(entries),
        tuple(path for path in paths if measured.lines(path) and measured.is_edited(path)),
        tuple(unavailable),
        measured.has_arcs,
        measured.is_live,
    )


def place_of(entry: UnusedCode) -> str:
    """The file and line of an entry."""
    return f"{shown(entry.path)}:{entry.code.line}"
