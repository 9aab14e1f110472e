"""What kept a statement from running: the file, its function, the way to it, or the data."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from covsup.datafile.fold.sets import arcs_in
from covsup.hints import NamedTuple
from covsup.views.answers.measured import first_few
from covsup.views.answers.why.answer import About, Reason, end_words, may_run
from covsup.views.answers.why.ran import first_process
from covsup.views.sources.source_library import SourceUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Final

    from covsup.datafile.fold.sets import Arc, LineSet
    from covsup.views.answers.measured import Measured
    from covsup.views.sources.analysis import SourceAnalysis
    from covsup.views.sources.regions import Region

    Describe = Callable[[int, Sequence[str]], str]

_MOST_WAYS: Final = 3


class Subject(NamedTuple):
    """The file that a question is about."""

    measured: Measured
    path: str
    analysis: SourceAnalysis
    executed: LineSet  # statements
    text: Sequence[str]  # its lines
    describe: Describe  # a process, of its pid and command line
    is_analysed: bool  # else only the data is known: not what leads where

    def process(self, lines: LineSet) -> str:
        """The first process that ran one of these lines, in words; "" = unknown."""
        found = first_process(self.measured, self.path, lines)
        return "" if found is None else self.describe(found.pid, found.argv)


def why_not_run(subject: Subject, statement: int) -> Iterator[Reason]:
    """Reasons why a statement did not run, from the file to the line."""
    lines = subject.measured.lines(subject.path)
    if not lines:
        yield Reason(About.FILE, "no measured process imported or ran the file")
        return
    by = subject.process(lines)
    yield Reason(About.FILE, f"the file was imported{f', first by {by}' if by else ''}")
    if not subject.is_analysed:
        return
    seen: set[int] = set()
    while True:
        seen.add(statement)
        function = function_around(subject.analysis, statement)
        if function is None or function.lines & subject.executed:
            yield from _entered(subject, function)
            yield from _ways(subject, statement)
            return
        defined = subject.executed >> function.start & 1
        if defined:
            by = subject.process(1 << function.start)
            where = f", though its definition ran{f' in {by}' if by else ''}"
            yield Reason(
                About.FUNCTION,
                f"the function {function.name}() on line {function.start} was never called{where}",
            )
            return
        yield Reason(
            About.FUNCTION,
            f"the function {function.name}() on line {function.start} was never even defined",
        )
        statement = subject.analysis.first_line(function.start)
        if statement in seen:  # its body is on the line of its `def`
            return


def function_around(analysis: SourceAnalysis, statement: int) -> Region | None:
    """The function that a statement is in; None at module level and in class bodies."""
    found = [
        each for each in analysis.regions if each.kind == "function" and each.lines >> statement & 1
    ]
    return found[-1] if found else None


def why_not_taken(subject: Subject, start: int, end: int) -> str:
    """coverage.py's sentence about a branch that was not taken."""
    try:
        return subject.measured.source_library.describe_arc(subject.path, start, end)
    except SourceUnavailable:
        return f"line {start} never went to line {end}"


def _entered(subject: Subject, function: Region | None) -> Iterator[Reason]:
    if function is not None:
        by = subject.process(function.lines)
        yield Reason(
            About.FUNCTION,
            f"the function {function.name}() on line {function.start} was called{f', first in {by}' if by else ''}",
        )


def _ways(subject: Subject, statement: int) -> Iterator[Reason]:
    """The last lines before it that ran, and which way they did not go."""
    ends, starts = _neighbours(subject.analysis)
    frontier, unreached = _frontier(subject, statement, starts)
    for start, end in frontier[:_MOST_WAYS]:
        if len(ends[start]) > 1:
            sentence = why_not_taken(subject, start, end)
            yield Reason(
                About.WAY, sentence.replace(f"line {start} ", f"line {start} ran, and ", 1)
            )
        else:
            yield Reason(About.WAY, _stopped(subject, start, end))
    if len(frontier) > _MOST_WAYS:
        more = ", ".join(str(start) for start, _ in frontier[_MOST_WAYS:][:10])
        yield Reason(About.WAY, f"it can also be reached from lines that ran: {more}")
    if frontier:
        return
    for line in unreached:
        words = subject.text[line - 1].strip() if line <= len(subject.text) else ""
        if words.startswith("except"):
            yield Reason(
                About.WAY,
                f"no exception reached `{words}` on line {line}"
                if line == statement
                else f"it is only reached through line {line}: no exception reached `{words}`",
            )
        elif line != statement:
            yield Reason(About.WAY, f"it is only reached through line {line}, which never ran")
        else:
            yield Reason(About.WAY, "no line that ran leads to it")


def _stopped(subject: Subject, start: int, end: int) -> str:
    """A sentence about a line that ran, and after which nothing else did."""
    process = first_process(subject.measured, subject.path, 1 << start)
    how = ""
    is_live = subject.measured.is_live
    if process is not None:
        words = end_words(process, is_live=is_live)
        how = f" ({subject.describe(process.pid, process.argv)}: {words})"
    still = "has not returned yet" if is_live else "did not return before its process ended"
    return (
        f"line {start} ran, and line {end} after it never did: line {start} raised an exception, or"
        f" {still}{how}"
    )


def _neighbours(
    analysis: SourceAnalysis,
) -> tuple[dict[int, set[int]], dict[int, set[int]]]:
    """By line: where it can go, and where it can be reached from."""
    ends: dict[int, set[int]] = defaultdict(set)
    starts: dict[int, set[int]] = defaultdict(set)
    for start, end in arcs_in(analysis.arcs):
        ends[start].add(end)
        starts[end].add(start)
    return ends, starts


def _frontier(
    subject: Subject, statement: int, starts: dict[int, set[int]]
) -> tuple[list[Arc], list[int]]:
    """The possible arcs from lines that ran to lines that did not and lead to the statement,
    nearest first; and the lines at which the search ended without such an arc.
    """
    frontier: list[Arc] = []
    unreached: list[int] = []
    seen, now = {statement}, [statement]
    while now:
        following: list[int] = []
        for line in now:
            before = [each for each in starts[line] if each > 0]
            if not before:
                unreached.append(line)
            for each in sorted(before, reverse=True):
                if subject.executed >> each & 1:
                    frontier.append((each, line))
                elif each not in seen:
                    seen.add(each)
                    following.append(each)
        now = following
    return frontier, unreached


def doubts(measured: Measured, describe: Describe) -> Iterator[Reason]:
    """What may have run it without a record, and why the data may be wrong."""
    provenance = measured.provenance
    if provenance.unmeasured:
        described = [_with_reason(describe, each.pid, each.argv, each.reason)
                     for each in provenance.unmeasured]  # fmt: skip
        number = len(described)
        yield Reason(
            About.UNMEASURED,
            f"{number} Python process{'es were' if number > 1 else ' was'} not measured, and may have"
            f" run it: {first_few(described)}",
        )
    if provenance.losses:
        yield Reason(
            About.LOSS,
            "some processes could not store everything: "
            + first_few([describe(each.pid, each.argv) for each in provenance.losses]),
        )
    running = [each for each in provenance.processes if may_run(each, is_live=measured.is_live)]
    if measured.is_live and running:
        number = len(running)
        yield Reason(
            About.RUNNING,
            f"{number} process{'es' if number > 1 else ''} of the session may still run,"
            " and then run the line",
        )


def _with_reason(describe: Describe, pid: int, argv: Sequence[str], reason: str) -> str:
    return f"{describe(pid, argv)}: {reason}"
