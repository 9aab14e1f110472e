"""`covsup unused` as text, Markdown and JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from covsup.datafile.fold.sets import lines_in
from covsup.hints import NamedTuple
from covsup.views.answers.markdown import escaped
from covsup.views.answers.measured import ranges, shown
from covsup.views.answers.unused import place_of
from covsup.views.sources.unused import State

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, Final

    from covsup.views.answers.unused import UnusedAnswer, UnusedCode

_WIDTH: Final = 80
_MOST_DETAILS: Final = 6


class _Section(NamedTuple):
    """Entries that are shown together."""

    states: tuple[State, ...]
    title: str


_SECTIONS: Final = (
    _Section((State.NEVER_IMPORTED,), "Never imported"),
    _Section((State.NEVER_CALLED, State.NEVER_DEFINED), "Imported, never called"),
    _Section((State.PARTLY_RUN,), "Called, with code that never ran"),
    _Section((State.LOAD_TIME,), "At load time (module level, class bodies)"),
)


def unused_as_text(answer: UnusedAnswer) -> Iterator[str]:
    """Lines of at most 80 characters, unless a path or a name is longer."""
    yield from _wrapped(_headline(answer))
    for section in _SECTIONS:
        entries = answer.of_states(*section.states)
        if not entries:
            continue
        total = sum(each.code.statements for each in entries)
        yield ""
        yield f"{section.title}: {_count(total, 'statement')}"
        for entry in entries:
            place, name = place_of(entry), _name(entry)
            first = f"{entry.code.statements:7}  {place}"
            if name and len(first) + 2 + len(name) > _WIDTH:
                yield first
                yield f"{'':11}{name}"
            else:
                yield f"{first}  {name}".rstrip()
            for detail in _details(entry):
                yield f"{'':11}{detail}"
    if not answer.entries:
        yield "Everything ran." if answer.totals.statements else "There is nothing to run."
    notes = list(_notes(answer))
    if notes:
        yield ""
        for note in notes:
            yield from _wrapped(note)


def unused_as_markdown(answer: UnusedAnswer) -> Iterator[str]:
    """Tables."""
    yield _headline(answer)
    for section in _SECTIONS:
        entries = answer.of_states(*section.states)
        if not entries:
            continue
        yield from ("", f"### {section.title}", "", "| statements | where | what |")
        yield "| ---: | --- | --- |"
        for entry in entries:
            what = "<br>".join(map(escaped, [*filter(None, [_name(entry)]), *_details(entry)]))
            yield f"| {entry.code.statements} | {escaped(place_of(entry))} | {what} |"
    for note in _notes(answer):
        yield from ("", escaped(note))


def unused_as_json(answer: UnusedAnswer) -> str:
    """One object. Keys may be added later."""
    totals = answer.totals
    value: dict[str, Any] = {
        "totals": {
            **totals._asdict(),
            "never_run": totals.statements - totals.executed,
        },
        "branches_measured": answer.has_arcs,
        "running": answer.is_live,
        "unused": [
            {
                "file": each.path,
                "line": each.code.line,
                "kind": each.code.kind,
                "name": each.code.name,
                "state": each.code.state.value,
                "when": "load time" if each.code.state is State.LOAD_TIME else "run time",
                "statements": each.code.statements,
                "lines": lines_in(each.code.missing),
                "branches": [
                    [line, end] for line, ends in sorted(each.code.branches.items()) for end in ends
                ],
                "members": list(each.code.members),
            }
            for each in answer.entries
        ],
        "edited": list(answer.edited),
        "not_analysed": [{"file": path, "reason": why} for path, why in answer.unavailable],
    }
    return json.dumps(value, indent=2)


def _headline(answer: UnusedAnswer) -> str:
    totals = answer.totals
    missing = totals.statements - totals.executed
    share = f" ({100 * missing // totals.statements} %)" if totals.statements else ""
    ran = totals.executed - totals.load_time_executed
    return (
        f"{missing:,} of {_count(totals.statements, 'statement')}{share} in"
        f" {_count(totals.files, 'file')} never ran. At load time"
        f" {totals.load_time_executed:,} of {totals.load_time:,} ran, in functions"
        f" {ran:,} of {totals.statements - totals.load_time:,}."
    )


def _name(entry: UnusedCode) -> str:
    code = entry.code
    functions = _count(len(code.members), "function")
    match code.kind:
        case "module":
            if code.state is State.NEVER_CALLED:
                return f"nothing in it ({functions})"
            return f"({functions})" if code.members else ""
        case "class":
            return f"class {code.name} ({_count(len(code.members), 'method')}){_defined(entry)}"
        case _:
            return f"{code.name}(){_defined(entry)}"


def _defined(entry: UnusedCode) -> str:
    return ", never defined" if entry.code.state is State.NEVER_DEFINED else ""


def _details(entry: UnusedCode) -> list[str]:
    """Which lines never ran, and which line never went where."""
    code = entry.code
    if code.state not in {State.PARTLY_RUN, State.LOAD_TIME}:
        return []
    details = []
    if code.missing:
        lines = [
            f"{first}" if first == last else f"{first}-{last}"
            for first, last in ranges(lines_in(code.missing))
        ]
        many = "s" if len(lines) > 1 or "-" in lines[0] else ""
        details += list(_filled(f"line{many} ", lines, " never ran"))
    ways = [
        f"line {line} never {_way(end)}"
        for line, ends in sorted(code.branches.items())
        for end in ends
    ]
    more = len(ways) - _MOST_DETAILS
    if more > 1:
        ways[_MOST_DETAILS:] = [f"and {more} more branches"]
    return details + ways


def _way(end: int) -> str:
    return "left the function or the file from there" if end < 0 else f"went to line {end}"


def _filled(before: str, words: list[str], after: str) -> Iterator[str]:
    """Words with commas, in lines that have room for them."""
    line = before
    for index, word in enumerate(words):
        piece = word + (", " if index + 1 < len(words) else after)
        if len(line) + len(piece) > _WIDTH - 11 and line != before:
            yield line.rstrip()
            line = " " * len(before)
        line += piece
    yield line


def _notes(answer: UnusedAnswer) -> Iterator[str]:
    if not answer.has_arcs:
        yield "Only lines were measured: `covsup run --branch` shows the branches not taken."
    if answer.is_live:
        yield "The session is not combined yet; processes that still run may add to this."
    for path in answer.edited:
        yield f"{shown(path)} was edited after it was measured: its lines may be wrong."
    for path, why in answer.unavailable:
        yield f"not analysed: {why.replace(path, shown(path))}."


def _wrapped(text: str) -> Iterator[str]:
    import textwrap

    yield from textwrap.wrap(text, _WIDTH, break_long_words=False, break_on_hyphens=False)


def _count(number: int, word: str) -> str:
    return f"{number:,} {word}{'s' if number != 1 else ''}"
