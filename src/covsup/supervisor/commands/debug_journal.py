"""`covsup debug journal`: what is in a journal file."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime

from covsup.datafile.errors import CovsupError
from covsup.datafile.journal import events
from covsup.datafile.journal import reader as journals
from covsup.hints import TYPE_CHECKING, assert_never
from covsup.supervisor.errors import NOT_STORED
from covsup.supervisor.messages import aligned, print_message, printable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from covsup.datafile.journal.events import Event
    from covsup.datafile.journal.reader import Journal


def show_journal(path: Path, *, facts: bool) -> int:
    """Print a journal and those of the children in its slots, and give the exit status.

    `facts`: list each line and branch.
    """
    try:
        journal = journals.read_journal(path)
        slots = journals.read_slots(path, journal.header)
    except CovsupError as error:
        print_message(str(error))
        return NOT_STORED
    _show(journal, facts=facts)
    for borrower in slots.journals:
        sys.stdout.write("\n")
        _show(borrower, facts=facts)
    problems = [
        *(f"{path}: {each}" for shown in (journal, *slots.journals) for each in shown.problems),
        *slots.problems,
    ]
    for problem in problems:
        print_message(problem)
    return NOT_STORED if problems else 0


def _show(journal: Journal, *, facts: bool) -> None:
    sys.stdout.write(aligned(_header(journal)))
    for event in journal.events:
        sys.stdout.write(f"{_time(event.at_ns)} {printable(_event(event))}\n")
    for file_id, file in sorted(journal.files.items()):
        lines = sum(len(found) for key, found in journal.lines.items() if key[0] == file_id)
        arcs = sum(len(found) for key, found in journal.arcs.items() if key[0] == file_id)
        sys.stdout.write(f"{printable(file.path)}: {lines} lines, {arcs} branches\n")
        if facts:
            for label, found in _facts(journal, file_id):
                sys.stdout.write(f"    {printable(label)}: {found}\n")


def _header(journal: Journal) -> Iterator[tuple[str, object]]:
    for name, value in journal.header._asdict().items():
        match name:
            case "start_realtime_ns":
                yield "started", _time(value)
            case "python_hexversion":
                yield "python", f"{value >> 24}.{value >> 16 & 255}.{value >> 8 & 255}"
            case "core" | "start_kind":
                yield name, value.name.lower()
            case "lost_errno" | "forks_lost_errno":
                yield name, f"{value} ({os.strerror(value)})" if value else 0
            case _:
                yield name, value
    for name, raw in sorted(journal.properties.items()):
        yield name, os.fsdecode(raw).replace("\0", " ")
    yield "contexts", len(journal.contexts)


def _facts(journal: Journal, file_id: int) -> Iterator[tuple[str, str]]:
    for (file, context), lines in sorted(journal.lines.items()):
        if file == file_id:
            label = journal.contexts.get(context, "") or "lines"
            yield label, " ".join(map(str, sorted(lines)))
    for (file, context), arcs in sorted(journal.arcs.items()):
        if file == file_id:
            label = journal.contexts.get(context, "") or "branches"
            yield label, " ".join(f"{begin}->{end}" for begin, end in sorted(arcs))


def _time(at_ns: int) -> str:
    return f"{datetime.fromtimestamp(at_ns / 1e9, UTC):%Y-%m-%d %H:%M:%S.%f}Z"


def _event(event: Event) -> str:
    match event:
        case events.AboutToExec(path=path, argv=argv):
            description = f"about to exec {path}: {' '.join(argv)}"
        case events.ExecFailed(errno=number):
            description = f"exec failed: {os.strerror(number)}"
        case events.Spawned(pid=pid, argv=argv):
            description = f"spawned {pid}: {' '.join(argv)}"
        case events.Unexecuted(pid=pid):
            description = f"{pid} could not execute that program"
        case events.Reaped(pid=pid, status=status):
            description = f"reaped {pid}: wait status {status}"
        case events.Ended(how=how, status=status):
            description = f"ended: {how.name.lower()}, status {status}"
        case events.LibraryUsed(name=name, version=version):
            description = f"uses {name} {version}"
        case events.UserTracer(text=text):
            description = f"a tracer of the program's own: {text}"
        case events.Note(text=text):
            description = f"note: {text}"
        case _:
            assert_never(event)
    return description
