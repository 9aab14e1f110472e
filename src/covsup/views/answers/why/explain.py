"""Answer a question about a line or a branch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from covsup.datafile.fold.sets import arcs_in, lines_in
from covsup.views.answers.measured import shown
from covsup.views.answers.why.answer import About, Reason, Verdict, WhyAnswer
from covsup.views.answers.why.not_measured import is_excluded, why_not_measured
from covsup.views.answers.why.not_run import Subject, doubts, why_not_run, why_not_taken
from covsup.views.answers.why.question import EXIT, WrongQuestion
from covsup.views.answers.why.ran import runner_of
from covsup.views.sources.analysis import SourceAnalysis
from covsup.views.sources.source_library import SourceUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from covsup.datafile.fold.sets import LineSet
    from covsup.views.answers.measured import Measured
    from covsup.views.answers.why.not_run import Describe
    from covsup.views.answers.why.question import Question


def explain(measured: Measured, question: Question, describe: Describe) -> WhyAnswer:
    """The answer. `describe` gives a process in words, of its pid and command line.

    Raises NoSuchSource, WrongQuestion.
    """
    found = measured.find(question.file)
    path = question.file if found is None else found
    text = measured.source_library.text(path).split("\n")
    if text[-1] == "":
        text.pop()
    if text and not 1 <= question.line <= len(text):
        raise WrongQuestion(
            f"{shown(path)} has {len(text)} line{'s' if len(text) != 1 else ''}, and no line"
            f" {question.line}"
        )
    source = text[question.line - 1].strip() if text else ""
    if found is None:
        # A process that still runs changes nothing for a file that the settings exclude.
        excluded = is_excluded(measured, path)
        reasons = (*why_not_measured(measured, path), *doubts(measured, describe))
        return WhyAnswer(
            path, question.line, question.to, question.line, source, Verdict.NOT_MEASURED,
            reasons=tuple(each for each in reasons if not (excluded and each.about is About.RUNNING)),
        )  # fmt: skip
    unavailable: tuple[Reason, ...] = ()
    try:
        analysis = measured.source_library.analysis_now(path)
    except SourceUnavailable as error:
        # Its lines are known without the source; what kept a line from running is not.
        unavailable = (Reason(About.SOURCE, f"the source is not analysed: {error}"),)
        analysis = _without_source(measured.lines(path) | 1 << question.line)
    subject = Subject(
        measured, path, analysis, analysis.first_lines(measured.lines(path)) & analysis.statements,
        text, describe, is_analysed=not unavailable,
    )  # fmt: skip
    answer = WhyAnswer(
        path, question.line, question.to, analysis.first_line(question.line), source,
        Verdict.NOT_MEASURED, is_live=measured.is_live,
    )  # fmt: skip
    if question.to is None:
        answer = _of_line(subject, answer)
    elif unavailable:
        answer = _of_branch_without_source(subject, answer, question.to)
    else:
        answer = _of_branch(subject, answer, question.to)
    return answer._replace(reasons=(*answer.reasons, *unavailable, *_about_source(subject)))


def _without_source(lines: LineSet) -> SourceAnalysis:
    """An analysis that has these lines as statements, and nothing else."""
    return SourceAnalysis(lines, 0, b"", b"", b"", b"", b"", ())


def _of_line(subject: Subject, answer: WhyAnswer) -> WhyAnswer:
    analysis, measured, path = subject.analysis, subject.measured, subject.path
    line, statement = answer.line, answer.statement
    reasons = list(_belongs(answer))
    raw = _raw_lines(subject, statement)
    ran = measured.lines(path) & raw
    if not analysis.statements >> statement & 1:
        verdict, reason = _no_statement(subject, answer)
        is_counted_out = ran and verdict is Verdict.EXCLUDED
        extra = [Reason(About.STATEMENT, "it ran, but does not count")] if is_counted_out else []
        if verdict is Verdict.NO_STATEMENT:
            reasons = []  # the reason has the line where it begins
        return answer._replace(verdict=verdict, reasons=(*reasons, reason, *extra))
    if not ran:
        return answer._replace(
            verdict=Verdict.NOT_RUN,
            reasons=(
                *reasons,
                *why_not_run(subject, statement),
                *doubts(measured, subject.describe),
            ),
        )
    if ran >> line & 1:
        ran = 1 << line
    elif line != statement:
        reasons.append(
            Reason(
                About.STATEMENT,
                "the statement ran; Python reports no event for this line of it",
            )
        )
    return _with_runner(subject, answer._replace(reasons=tuple(reasons)), ran)


def _of_branch(subject: Subject, answer: WhyAnswer, to: int) -> WhyAnswer:
    analysis, measured = subject.analysis, subject.measured
    start = answer.statement
    exits = sorted(end for begin, end in arcs_in(analysis.arcs) if begin == start)
    wanted = [each for each in exits if each < 0] if to == EXIT else [analysis.first_line(to)]
    wanted = [each for each in wanted if each in exits]
    if not wanted:
        ways = ", ".join("exit" if each < 0 else str(each) for each in exits)
        return answer._replace(
            verdict=Verdict.NO_BRANCH,
            reasons=(
                *_belongs(answer),
                Reason(
                    About.STATEMENT,
                    f"line {start} cannot go there; it can go to: {ways}"
                    if ways
                    else f"line {start} goes nowhere by itself",
                ),
            ),
        )
    if not subject.executed >> start & 1:
        not_run = answer._replace(to=None)
        return _of_line(subject, not_run)._replace(to=to, verdict=Verdict.NOT_RUN)
    if len(exits) == 1:
        only = Reason(
            About.DATA,
            f"line {start} goes nowhere else, so the data has no branch: this is that of the line",
        )
        answer = _with_runner(subject, answer, _raw_lines(subject, start))
        return answer._replace(reasons=(*answer.reasons, only))
    arcs = measured.arcs(subject.path)
    if arcs is None:
        return _no_branches(answer)
    taken = [each for each in wanted if (start, each) in analysis.taken(arcs)]
    if not taken:
        sentences = [why_not_taken(subject, start, each) for each in wanted]
        return answer._replace(
            verdict=Verdict.NOT_RUN,
            reasons=(
                *_belongs(answer),
                *(Reason(About.WAY, each) for each in sentences),
                *doubts(measured, subject.describe),
            ),
        )
    labels = {
        label
        for (path, label), packed in measured.result.arcs.items()
        if path == subject.path
        for each in taken
        if (start, each) in analysis.taken(packed)
    }
    target = taken[0] if taken[0] > 0 else start
    answer = _with_runner(subject, answer, _raw_lines(subject, target))
    note = Reason(
        About.DATA,
        f"the data has the first process of each line, not of each branch: this is that of line"
        f" {target}",
    )
    return answer._replace(contexts=tuple(sorted(labels)), reasons=(*answer.reasons, note))


def _of_branch_without_source(subject: Subject, answer: WhyAnswer, to: int) -> WhyAnswer:
    """What the data alone say: whether it was taken, and not whether there is such a branch."""
    arcs = subject.measured.arcs(subject.path)
    if arcs is None:
        return _no_branches(answer)
    is_taken = any(
        start == answer.line and (end < 0 if to == EXIT else end == to)
        for start, end in arcs_in(arcs)
    )
    if is_taken:
        return _with_runner(subject, answer, 1 << (answer.line if to == EXIT else to))
    return answer._replace(
        verdict=Verdict.NOT_RUN, reasons=tuple(doubts(subject.measured, subject.describe))
    )


def _no_branches(answer: WhyAnswer) -> WhyAnswer:
    only_lines = "only lines were measured: `covsup run --branch` records where a line went"
    return answer._replace(verdict=Verdict.NOT_MEASURED, reasons=(Reason(About.DATA, only_lines),))


def _with_runner(subject: Subject, answer: WhyAnswer, lines: LineSet) -> WhyAnswer:
    measured, path = subject.measured, subject.path
    labels = [label for label, bits in measured.contexts(path).items() if bits & lines]
    runner = runner_of(measured, path, lines)
    notes = [] if runner is not None else [_no_processes(measured)]
    return answer._replace(
        verdict=Verdict.RAN,
        runner=runner,
        contexts=tuple(sorted(labels)),
        reasons=(*answer.reasons, *notes),
    )


def _no_processes(measured: Measured) -> Reason:
    if not measured.provenance.processes:
        return Reason(
            About.DATA, "the data has no record of processes: covsup did not write it, or not all"
        )
    return Reason(About.DATA, "the data does not say which process ran it first")


def _raw_lines(subject: Subject, statement: int) -> LineSet:
    """The lines of a statement."""
    lines = 1 << statement
    for line, first in arcs_in(subject.analysis.inner_lines):
        if first == statement:
            lines |= 1 << line
    return lines


def _belongs(answer: WhyAnswer) -> Iterable[Reason]:
    if answer.line != answer.statement:
        yield Reason(
            About.STATEMENT,
            f"line {answer.line} belongs to the statement that begins on line {answer.statement}",
        )


def _no_statement(subject: Subject, answer: WhyAnswer) -> tuple[Verdict, Reason]:
    analysis, statement = subject.analysis, answer.statement
    if analysis.excluded >> statement & 1:
        return Verdict.EXCLUDED, Reason(
            About.STATEMENT,
            "the settings or a comment exclude it from coverage (such as `# pragma: no cover`, on"
            " its line or around it)",
        )
    if answer.line != statement:
        what = f"is in the docstring that begins on line {statement}"
    elif not answer.source:
        what = "is blank"
    elif answer.source.startswith("#"):
        what = "is a comment"
    else:
        what = "has no statement: it is a docstring, or a word like `else:`"
    after = lines_in(analysis.statements >> statement << statement)
    hint = f"; the next statement is on line {after[0]}" if after else ""
    return Verdict.NO_STATEMENT, Reason(About.STATEMENT, f"the line {what}{hint}")


def _about_source(subject: Subject) -> Iterable[Reason]:
    if subject.measured.is_edited(subject.path):
        yield Reason(
            About.SOURCE,
            "the source was edited after it was measured: the line may be another one",
        )
