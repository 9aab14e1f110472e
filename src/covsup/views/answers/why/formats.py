"""`covsup why` as text, Markdown and JSON."""

from __future__ import annotations

import json
import textwrap
import time
from typing import TYPE_CHECKING

from covsup.datafile.provenance.model import signal_name
from covsup.views.answers.markdown import as_code, escaped
from covsup.views.answers.measured import shown
from covsup.views.answers.why.answer import Verdict, end_words
from covsup.views.answers.why.question import EXIT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Any, Final

    from covsup.datafile.provenance.model import ProcessRecord
    from covsup.views.answers.why.answer import Bound, Runner, WhyAnswer

    Short = Callable[[Sequence[str], int], str]

_WIDTH: Final = 80
_NARROWEST: Final = 40
_LEAST_COMMAND: Final = 16
_MOST_CONTEXTS: Final = 12


def why_as_text(answer: WhyAnswer, short: Short, columns: int = _WIDTH) -> Iterator[str]:
    """Lines of at most 80 characters, fewer on a narrow terminal of so many `columns`.

    `short` shortens a command line to a width.
    """
    width = max(_NARROWEST, min(_WIDTH, columns))
    place = _place(answer)
    yield f"{place}  {_clipped(answer.source, max(20, width - len(place) - 2))}".rstrip()
    yield from _wrapped(f"{_verdict(answer)}.", "", width)
    if answer.runner is not None:
        yield from _runner(answer.runner, short, width, is_live=answer.is_live)
    if answer.contexts and answer.contexts != ("",):
        labels = [label or "(none)" for label in answer.contexts]
        more = len(labels) - _MOST_CONTEXTS
        if more > 0:
            labels[_MOST_CONTEXTS:] = [f"and {more} more"]
        yield from _wrapped(", ".join(labels), "contexts  ", width)
    for reason in answer.reasons:
        yield from _wrapped(_sentence(reason.sentence), "- ", width)


def why_as_markdown(answer: WhyAnswer, short: Short) -> Iterator[str]:
    """A heading, the source line, and a list."""
    yield f"### {escaped(_place(answer))}"
    yield from ("", f"    {_clipped(answer.source, _WIDTH)}", "", f"{_verdict(answer)}.", "")
    runner = answer.runner
    if runner is not None:
        for number, process in enumerate(runner.chain, 1):
            yield f"{number}. {process.how_started}, pid {process.pid}: {as_code(short(process.argv, 200))}, {end_words(process, is_live=answer.is_live)}"
        yield ""
        yield f"- {escaped(_sentence(_when(runner)))}"
        yield f"- {_sentence(_others(runner))}"
    if answer.contexts and answer.contexts != ("",):
        yield f"- Contexts: {', '.join(as_code(label) if label else '(none)' for label in answer.contexts)}"
    for reason in answer.reasons:
        yield f"- {escaped(_sentence(reason.sentence))}"


def why_as_json(answer: WhyAnswer) -> str:
    """One object. Keys may be added later. Times are seconds since 1970."""
    runner = answer.runner
    value: dict[str, Any] = {
        "file": answer.path,
        "line": answer.line,
        "to": "exit" if answer.to == EXIT else answer.to,
        "statement": answer.statement,
        "source": answer.source,
        "verdict": answer.verdict.value,
        "first": None if runner is None else _process(runner.process),
        "after": None if runner is None else _bound(runner.after),
        "before": None if runner is None or runner.before is None else _bound(runner.before),
        "others_ran_it": None if runner is None else runner.is_shared,
        "chain": [] if runner is None else [_process(each) for each in runner.chain],
        "contexts": list(answer.contexts),
        "reasons": [
            {"about": each.about.value, "sentence": each.sentence} for each in answer.reasons
        ],
    }
    return json.dumps(value, indent=2)


def _clipped(text: str, width: int) -> str:
    """The beginning of a text. A line of a source can have megabytes."""
    return text if len(text) <= width else f"{text[: width - 1]}…"


def _place(answer: WhyAnswer) -> str:
    to = "" if answer.to is None else f"->{'exit' if answer.to == EXIT else answer.to}"
    return f"{shown(answer.path)}:{answer.line}{to}"


def _verdict(answer: WhyAnswer) -> str:
    what = "This branch" if answer.to is not None else "This line"
    match answer.verdict:
        case Verdict.RAN:
            return f"{what} {'was taken' if answer.to is not None else 'ran'}"
        case Verdict.NOT_RUN:
            return f"{what} {'was never taken' if answer.to is not None else 'never ran'}"
        case Verdict.EXCLUDED:
            return f"{what} is excluded"
        case Verdict.NO_STATEMENT:
            return f"{what} is no statement"
        case Verdict.NO_BRANCH:
            return "There is no such branch"
        case Verdict.NOT_MEASURED:
            return f"{what} was not measured"


def _runner(runner: Runner, short: Short, width: int, *, is_live: bool) -> Iterator[str]:
    process = runner.process
    head = f"first by  pid {process.pid}, {end_words(process, is_live=is_live)}: "
    yield from _wrapped(head + short(process.argv, max(20, width - len(head))), "", width)
    yield from _wrapped(_when(runner), "when      ", width)
    yield from _wrapped(_others(runner), "others    ", width)
    if len(runner.chain) > 1:
        for number, each in enumerate(runner.chain):
            label = "chain" if number == 0 else ""
            head = f"{label:10}{each.how_started:7} {each.pid:>7}  "
            end = end_words(each, is_live=is_live)
            room = width - len(head) - len(end) - 2
            if room >= _LEAST_COMMAND:
                yield f"{head}{short(each.argv, room)}  {end}"
            else:
                yield f"{head}{short(each.argv, max(_LEAST_COMMAND, width - len(head)))}"
                yield f"{'':{len(head)}}{end}"


def _when(runner: Runner) -> str:
    if runner.before is None:
        return (
            f"after {_time(runner.after.at_ns)} ({runner.after.known_from}), and no end is"
            " recorded; a journal has no time per line"
        )
    return (
        f"between {_time(runner.after.at_ns)} ({runner.after.known_from}) and"
        f" {_time(runner.before.at_ns)} ({runner.before.known_from}); a journal has no time per line"
    )


def _others(runner: Runner) -> str:
    if runner.is_shared:
        return "at least one other process ran it later; the data keeps only the first"
    return "no other process ran it"


def _process(process: ProcessRecord) -> dict[str, Any]:
    return {
        "pid": process.pid,
        "how": process.how_started,
        "command": list(process.argv),
        "started": process.started_ns / 1e9,
        "ended": process.ended_ns / 1e9 or None,
        "end": {
            "how": process.ending.end.value,
            "status": process.ending.status,
            "signal": signal_name(process.ending.signal) if process.ending.signal else None,
        },
        "python": process.python,
    }


def _bound(bound: Bound) -> dict[str, Any]:
    return {"at": bound.at_ns / 1e9, "known_from": bound.known_from}


def _time(at_ns: int) -> str:
    """In the local time zone, to the millisecond."""
    seconds, rest = divmod(at_ns, 10**9)
    return f"{time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(seconds))}.{rest // 10**6:03}"


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _wrapped(text: str, label: str, width: int) -> Iterator[str]:
    yield from textwrap.wrap(
        text,
        width,
        initial_indent=label,
        subsequent_indent=" " * len(label),
        break_long_words=False,
        break_on_hyphens=False,
    )
