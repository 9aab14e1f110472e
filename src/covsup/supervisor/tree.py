"""`covsup tree`: a session's processes on the terminal, or in a pipe."""

from __future__ import annotations

import shlex
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

from covsup.datafile.database import is_data_file, read_provenance
from covsup.datafile.errors import CovsupError
from covsup.datafile.journal import StartKind
from covsup.datafile.provenance import End
from covsup.datafile.session import SETTINGS, SessionUnreadable, find_sessions, open_session
from covsup.hints import TYPE_CHECKING, NamedTuple
from covsup.supervisor.combine import combine
from covsup.supervisor.forest import forest
from covsup.supervisor.inputs import is_of
from covsup.supervisor.rules import Rules
from covsup.supervisor.say import complain, printable
from covsup.supervisor.settings import data_file_of
from covsup.supervisor.waiting import complain_of_a_session_that_is_gone

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence
    from typing import Final

    from covsup.datafile.provenance import Provenance
    from covsup.datafile.session import Settings
    from covsup.supervisor.forest import Node

_RUN: Final = "covsup run "
_NARROWEST: Final = 40
_LEAST_COMMAND: Final = 16
"""A command line is not shortened below this; what follows it goes onto a line of its own."""

_MOST_PROGRAMS: Final = 5
"""So many programs below one process that are not Python are shown without --all."""


class NothingToShow(CovsupError):
    """There is no session."""


class _Marks(NamedTuple):
    """What the lines of the tree are drawn with."""

    fork: str
    last: str
    down: str
    cut: str
    deep: str


_UNICODE: Final = _Marks(fork="├─ ", last="└─ ", down="│  ", cut="…", deep="⋯ ")
_ASCII: Final = _Marks(fork="|- ", last="`- ", down="|  ", cut="..", deep=".. ")


def tree(options: argparse.Namespace) -> int:
    """Show it."""
    complain_of_a_session_that_is_gone()
    provenance = _provenance(options)
    console = Console(highlight=False, soft_wrap=True)
    marks = _ASCII if console.options.ascii_only else _UNICODE
    width = max(console.width, _NARROWEST)
    # An id tells the second only.
    sessions = sorted(provenance.sessions, key=lambda each: (each.started_ns, each.session))
    for settings in sessions if options.all else _last(sessions):
        of_session = provenance.of_session(settings.session)
        for line in _Drawing(width, marks, everything=options.all).lines(settings, of_session):
            console.print(line)
    sys.stdout.flush()
    return 0


def _last(sessions: Sequence[Settings]) -> Iterator[Settings]:
    """The last session, and those inside of it."""
    ids = {each.session for each in sessions}
    shown: set[str] = set()
    for settings in [each for each in sessions if each.within not in ids][-1:]:
        shown.add(settings.session)
        yield settings
    for settings in sessions:
        if settings.within in shown:
            shown.add(settings.session)
            yield settings


def _provenance(options: argparse.Namespace) -> Provenance:
    """That of the newest session, whether it was combined or not. Raises CovsupError."""
    if options.path is not None:
        path = Path(options.path)
        if not path.exists():
            raise NothingToShow(f"there is no {path}")
        found = _of_directory(path) if (path / SETTINGS).exists() else None
        return found or read_provenance(path)
    data_file = data_file_of(options.rcfile, options.data_file)
    combined = read_provenance(data_file) if is_data_file(data_file) else None
    newest = max((each.started_ns for each in combined.sessions), default=0) if combined else 0
    # A session that was combined while it ran is still there, and its directory knows more.
    for started_ns, path in sorted(_waiting(data_file), reverse=True):
        found = _of_directory(path) if started_ns >= newest else None
        if found is not None:
            return found
    if combined is None or not combined.sessions:
        raise NothingToShow(f"no session beside {data_file} and none in it: `covsup run` makes one")
    return combined


def _waiting(data_file: Path) -> Iterator[tuple[int, Path]]:
    """The session directories beside a data file, by when they were begun."""
    for path in find_sessions(data_file):
        if not is_of(path, data_file):
            continue
        try:
            session = open_session(path)
            if session.settings.open and not (session.journals() or session.folded.exists()):
                continue  # nobody has joined it yet
            yield session.settings.started_ns, path
        except SessionUnreadable as error:
            complain(str(error))


def _of_directory(path: Path) -> Provenance | None:
    """Of a session directory, as far as it goes; nothing is changed there."""
    settings = open_session(path).settings
    with tempfile.TemporaryDirectory(prefix="covsup-tree-") as scratch:
        # Its own patterns and paths do not matter here, only who executed how much.
        rules = Rules(data_file=Path(scratch) / "coverage")
        outcome = combine([path], rules=rules, keep=True)
    for sentence in outcome.unreadable:
        complain(sentence)
    provenance = outcome.provenance.of_session(settings.session)
    return provenance if provenance.sessions else None


class _Drawing:
    """One session, as lines that fit into a width."""

    def __init__(self, width: int, marks: _Marks, *, everything: bool) -> None:
        self._width = width
        self._marks = marks
        self._everything = everything

    def lines(self, settings: Settings, provenance: Provenance) -> Iterator[Text]:
        """Everything there is to show."""
        roots = forest(provenance)
        how = _RUN if settings.supervisor_pid else ""
        command = self._fitted(settings.command, self._width - len(how))
        yield Text.assemble((f"session {settings.session}", "bold"))
        yield Text.assemble((how, "dim"), command)
        for line in self._below(roots, ""):
            # Spaces at the end are no part of what is shown.
            line.rstrip()
            yield line
        yield self._summary(provenance)

    def _below(self, nodes: Sequence[Node], guide: str) -> Iterator[Text]:
        shown, hidden = self._choose(nodes)
        for index, node in enumerate(shown):
            is_last = index == len(shown) - 1 and not hidden
            first = guide + (self._marks.last if is_last else self._marks.fork)
            rest = guide + ("   " if is_last else self._marks.down)
            yield from self._node(node, first, rest)
            yield from self._below(node.below, rest)
        if hidden:
            text = f"and {hidden} more programs that are not Python (--all shows them)"
            yield self._with_guide(guide + self._marks.last, Text(text, "dim"))

    def _choose(self, nodes: Sequence[Node]) -> tuple[list[Node], int]:
        """What is shown of the processes below one, and how many are not."""
        leaves = [node for node in nodes if node.is_program and not node.below]
        if self._everything or len(leaves) <= _MOST_PROGRAMS:
            return list(nodes), 0
        hidden = {id(node) for node in leaves[_MOST_PROGRAMS - 1 :]}
        return [node for node in nodes if id(node) not in hidden], len(hidden)

    def _node(self, node: Node, first: str, rest: str) -> Iterator[Text]:
        head = f"{node.how} {node.pid} ".lstrip()
        tail = self._tail(node)
        style = "bold red" if node.reason else "dim" if node.image is None else ""
        room = self._width - len(self._guide(first)) - len(head) - len(tail) - 2
        if room >= min(len(_command(_short(node.argv))), _LEAST_COMMAND):
            command = self._fitted(node.argv, room) or "?"
            line = Text.assemble((head, style or "cyan"), (command, style))
            line.append("  ")
            line.append(tail)
            yield self._with_guide(first, line)
        else:
            room = self._width - len(self._guide(first)) - len(head)
            command = self._fitted(node.argv, room) or "?"
            yield self._with_guide(first, Text.assemble((head, style or "cyan"), (command, style)))
            yield self._with_guide(rest + self._stem(node), tail)
        if node.reason:
            room = self._width - len(self._guide(rest + self._stem(node)))
            for part in _wrapped(f"NOT MEASURED: {printable(node.reason)}", room):
                yield self._with_guide(rest + self._stem(node), Text(part, "bold red"))
        losses = () if node.image is None else (node.image.lost, node.image.forks_lost)
        for lost, whose in zip(losses, ("", " in forks without a journal"), strict=False):
            if not lost:
                continue
            text = f"LOST {lost.facts} facts and {lost.events} events{whose}"
            yield self._with_guide(rest + self._stem(node), Text(text, "bold red"))

    def _stem(self, node: Node) -> str:
        return self._marks.down if node.below else "   "

    def _tail(self, node: Node) -> Text:
        tail = Text()
        if node.ending is not None:
            words = printable(node.ending.words)
            if node.ending.end is End.UNKNOWN:
                words = "end unknown"
            if node.ending.end is End.EXECED:
                words = "exec"
            tail.append(words, _STYLES[node.ending.end])
        if node.image is not None:
            own = node.image.unique_lines
            tail.append(f", {_lines(node.image.lines)}", "")
            tail.append(f", {own} only here" if own else "", "green")
        return tail

    def _guide(self, guide: str) -> str:
        """A guide that leaves room for what it leads to, however deep that is."""
        most = self._width // 3 // 3 * 3
        if len(guide) <= most:
            return guide
        depth = f"{self._marks.deep}{len(guide) // 3} deep "
        return depth + guide[-3:]

    def _with_guide(self, guide: str, text: Text) -> Text:
        return Text.assemble((self._guide(guide), "dim"), text)

    def _fitted(self, argv: Sequence[str], room: int) -> str:
        """A command line in that room: whole, or without the program's directory, or cut too."""
        text = _command(argv)
        if len(text) > room:
            text = _command(_short(argv))
        if len(text) <= room:
            return text
        return text[: max(0, room - len(self._marks.cut))] + self._marks.cut

    def _summary(self, provenance: Provenance) -> Text:
        images = len(provenance.processes)
        known = {each.image_id for each in provenance.processes}
        # Not by pids: these come again. An exec makes another image of the same process.
        processes = sum(
            each.started is not StartKind.EXECED or each.parent not in known
            for each in provenance.processes
        )
        parts = [f"{processes} measured process{'' if processes == 1 else 'es'}"]
        if images != processes:
            parts.append(f"{images} process images")
        running = sum(each.ending.end is End.RUNNING for each in provenance.processes)
        if running:
            parts.append(f"{running} still running")
        line = Text(", ".join(parts))
        if provenance.unmeasured:
            line.append(f", {len(provenance.unmeasured)} NOT MEASURED", "bold red")
        return line


_STYLES: Final = {
    End.EXITED: "",
    End.KILLED: "yellow",
    End.EXECED: "dim",
    End.RUNNING: "green",
    End.UNKNOWN: "dim",
}


def _command(argv: Sequence[str]) -> str:
    return printable(" ".join(shlex.quote(word) if word == "" else word for word in argv))


def _short(argv: Sequence[str]) -> Sequence[str]:
    """The same with the program's name alone: every Python of an environment has its directory."""
    return [argv[0].rpartition("/")[2] or argv[0], *argv[1:]] if argv else argv


def _lines(count: int) -> str:
    return f"{count} line{'' if count == 1 else 's'}"


def _wrapped(text: str, room: int) -> list[str]:
    import textwrap  # noqa: PLC0415 - only where something is not measured

    return textwrap.wrap(text, max(room, 20)) or [text]
