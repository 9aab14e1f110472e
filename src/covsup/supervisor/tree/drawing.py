"""The tree of a session's processes, drawn as lines of text that fit into a width.

On the left are the processes, with pid and command line. On the right are columns of numbers,
aligned at any depth. If a command leaves no room for the columns, they follow on the next line.
"""

from __future__ import annotations

from rich.text import Text

from covsup.datafile.journal.header import StartKind
from covsup.datafile.provenance.command_lines import is_python
from covsup.datafile.provenance.model import End, signal_name
from covsup.hints import TYPE_CHECKING, NamedTuple
from covsup.supervisor.messages import printable
from covsup.supervisor.short_commands import short_command, without_directory
from covsup.supervisor.tree.process_tree import process_trees
from covsup.supervisor.tree.similar import Similarity

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Final

    from covsup.datafile.provenance.model import Ending, Provenance
    from covsup.datafile.session.settings import Settings
    from covsup.supervisor.tree.process_tree import Node

_RUN: Final = "covsup run "
_LEAST_COMMAND: Final = 16
"""A command line is not cut to fewer characters. The columns go onto the next line instead."""

_LEAST_LEFT: Final = 40
"""With fewer characters to the left of the columns, the columns are made narrower."""

_MOST_LEFT: Final = 72
"""Without a width, the columns begin here at the latest. A longer command line pushes them on."""

_MOST_PROGRAMS: Final = 5
"""Without --all, so many programs that are not Python are shown below one process."""

_MOST_ALIKE: Final = 20
"""Without --all, of more processes that look alike only the first few are shown."""

_SHOWN_ALIKE: Final = 3

_GAP: Final = "  "


class Marks(NamedTuple):
    """The characters that draw the tree."""

    fork: str
    last: str
    down: str
    cut: str
    deep: str


UNICODE: Final = Marks(fork="├─ ", last="└─ ", down="│  ", cut="…", deep="⋯ ")
ASCII: Final = Marks(fork="|- ", last="`- ", down="|  ", cut="..", deep=".. ")


class _Row(NamedTuple):
    """A process, or, if it is None, a sentence about processes that are not shown."""

    first: str  # drawn before its first line
    rest: str  # drawn before its other lines, and before the processes below it
    node: Node | None
    sentence: str = ""


class _Cells(NamedTuple):
    """The numbers of one process."""

    start: str
    time: str
    end: str
    lines: str
    only: str
    style: str = ""


_HEADER: Final = _Cells("start", "time", "end", "lines", "only here", "dim")


def seconds(duration: float) -> str:
    """A duration in seconds as text of at most seven characters."""
    if duration < 9.995:
        return f"{duration:.2f}s"
    if duration < 99.95:
        return f"{duration:.1f}s"
    whole = round(duration)
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02}s"
    if whole < 24 * 3600:
        return f"{whole // 3600}h{whole % 3600 // 60:02}m"
    return f"{whole // 86400}d{whole % 86400 // 3600:02}h"


class Drawing:
    """Draws sessions."""

    def __init__(self, width: int | None, marks: Marks, *, everything: bool) -> None:
        """`width` is None if lines may have any length. `everything`: show all programs."""
        self._width = width
        self._marks = marks
        self._everything = everything
        self._one_place = True

    def lines(self, settings: Settings, provenance: Provenance) -> Iterator[Text]:
        """All lines of one session."""
        roots = process_trees(provenance)
        rows = list(self._rows(roots, Similarity(roots)))
        places = {
            each.node.argv[0].rpartition("/")[0]
            for each in rows
            if each.node is not None and each.node.argv and is_python(each.node.argv[0])
        }
        # The directories of Pythons are worth showing only if there are several.
        self._one_place = len(places - {""}) < 2
        how = _RUN if settings.supervisor_pid else ""
        yield Text(f"session {settings.session}", "bold")
        yield Text.assemble((how, "dim"), self._shown(settings.command, self._room(len(how))))
        for line in self._table(rows, settings.started_ns):
            # Without spaces at the end, which a narrow terminal would wrap.
            line.rstrip()
            yield line
        yield _summary(provenance)

    def _rows(self, roots: Sequence[Node], similarity: Similarity) -> Iterator[_Row]:
        waiting = self._placed(roots, "", similarity)
        while waiting:
            row = waiting.pop()
            yield row
            if row.node is not None:
                waiting += self._placed(row.node.below, row.rest, similarity)

    def _placed(self, nodes: Sequence[Node], guide: str, similarity: Similarity) -> list[_Row]:
        """The rows of the processes below one, the last one first."""
        chosen, sentences = self._choose(nodes, similarity)
        rows = [(node, "") for node in chosen] + [(None, each) for each in sentences]
        fork = (guide + self._marks.fork, guide + self._marks.down)
        last = (guide + self._marks.last, guide + "   ")
        placed = [_Row(*fork, *row) for row in rows[:-1]] + [_Row(*last, *row) for row in rows[-1:]]
        return placed[::-1]

    def _choose(
        self, nodes: Sequence[Node], similarity: Similarity
    ) -> tuple[list[Node], list[str]]:
        """The processes to show below one, and sentences about the others."""
        if self._everything:
            return list(nodes), []
        hidden: set[int] = set()  # by id()
        sentences = []
        for group in similarity.groups(nodes):
            if len(group) > _MOST_ALIKE:
                # Those with lines that only they executed are the interesting ones.
                more = sorted(group, key=_lines_only_here, reverse=True)[_SHOWN_ALIKE:]
                hidden.update(map(id, more))
                like = next(node.pid for node in group if id(node) not in hidden)
                sentences.append(f"and {len(more)} more like {like} (--all shows each)")
        leaves = [
            node for node in nodes if node.is_program and not node.below and id(node) not in hidden
        ]
        if len(leaves) > _MOST_PROGRAMS:
            more = leaves[_MOST_PROGRAMS - 1 :]
            hidden.update(map(id, more))
            sentences.append(
                f"and {len(more)} more programs that are not Python (--all shows them)"
            )
        return [node for node in nodes if id(node) not in hidden], sentences

    def _table(self, rows: Sequence[_Row], began_ns: int) -> Iterator[Text]:
        nodes = [row.node for row in rows if row.node is not None]
        if not nodes:
            return
        wanted = max(
            len(self._guide(row.first) + _head(row.node)) + len(self._shown(row.node.argv) or "?")
            for row in rows
            if row.node is not None
        )
        cells = [_cells(node, began_ns) for node in nodes]
        header = _HEADER
        if self._room(_width(header, cells), _MOST_LEFT) < min(wanted, _LEAST_LEFT):
            header = header._replace(only="only")
            cells = [_cells(node, began_ns, in_short=True) for node in nodes]
        widths = _widths(header, cells)
        # Without a width, the longest command lines do not push the columns far to the right.
        left = min(wanted, self._room(_width(header, cells), _MOST_LEFT))
        yield Text(" " * max(left, 0)).append(_line(header, widths))
        waiting = iter(cells)
        for row in rows:
            if row.node is None:
                yield self._with_guide(row.first, Text(row.sentence, "dim"))
            else:
                numbers = _line(next(waiting), widths)
                yield from self._process(row, row.node, left, numbers)

    def _process(self, row: _Row, node: Node, left: int, numbers: Text) -> Iterator[Text]:
        head = _head(node)
        style = "bold red" if node.reason else "dim" if node.image is None else ""
        before = len(self._guide(row.first)) + len(head)
        room = left - before
        least = min(len(short_command(without_directory(node.argv))), _LEAST_COMMAND)
        is_beside = self._width is None or room >= max(least, 1)
        if self._width is None:
            command = self._shown(node.argv)
        else:
            command = self._shown(node.argv, room if is_beside else self._width - before)
        line = self._with_guide(
            row.first, Text.assemble((head, style or "cyan"), (command or "?", style))
        )
        if is_beside:
            line.append(" " * (left - len(line)))
            yield line.append(numbers)
        else:
            yield line
            yield Text(" " * max(left, 0)).append(numbers)
        stem = row.rest + (self._marks.down if node.below else "   ")
        for text in _remarks(node):
            for part in self._wrapped(text, len(self._guide(stem))):
                yield self._with_guide(stem, Text(part, "bold red"))

    def _room(self, less: int, without_width: int = 1 << 20) -> int:
        return without_width if self._width is None else self._width - less

    def _shown(self, argv: Sequence[str], room: int | None = None) -> str:
        argv = without_directory(argv) if self._one_place else argv
        return short_command(argv, room, cut=self._marks.cut)

    def _guide(self, guide: str) -> str:
        """A guide, shortened if it is so deep that it leaves no room for the process."""
        if self._width is None or len(guide) <= self._width // 3 // 3 * 3:
            return guide
        return f"{self._marks.deep}{len(guide) // 3} deep {guide[-3:]}"

    def _with_guide(self, guide: str, text: Text) -> Text:
        return Text.assemble((self._guide(guide), "dim"), text)

    def _wrapped(self, text: str, before: int) -> list[str]:
        if self._width is None:
            return [text]
        import textwrap  # only if something is not measured

        return textwrap.wrap(text, max(self._width - before, 20)) or [text]


def _lines_only_here(node: Node) -> int:
    return 0 if node.image is None else node.image.unique_lines


def _head(node: Node) -> str:
    return f"{node.how} {node.pid} ".lstrip()


def _remarks(node: Node) -> Iterator[str]:
    """Messages about what is missing of a process."""
    if node.reason:
        yield f"NOT MEASURED: {printable(node.reason)}"
    if node.image is None:
        return
    if node.image.lost:
        yield f"LOST {node.image.lost.facts} facts and {node.image.lost.events} events"
    if node.image.forks_lost:
        lost = node.image.forks_lost
        yield f"LOST {lost.facts} facts and {lost.events} events in forks without a journal"


def _cells(node: Node, began_ns: int, *, in_short: bool = False) -> _Cells:
    start = (node.at_ns - began_ns) / 1e9
    time = (node.ended_ns - node.at_ns) / 1e9 if node.ended_ns else -1.0
    image = node.image
    return _Cells(
        # Negative if the clock was set meanwhile.
        start=f"+{seconds(start)}" if start >= 0 else "",
        time=seconds(time) if time >= 0 else "",
        end="" if node.ending is None else _end(node.ending, in_short=in_short),
        lines="" if image is None else str(image.lines),
        only="" if image is None or not image.unique_lines else str(image.unique_lines),
        style="" if node.ending is None else _STYLES[node.ending.end],
    )


def _end(ending: Ending, *, in_short: bool) -> str:
    match ending.end:
        case End.UNKNOWN:
            return "unknown" if in_short else "end unknown"
        case End.EXECED:
            return "exec"  # the next line shows the new program
        case End.RUNNING if in_short:
            return "running"
        case End.KILLED if in_short:
            return signal_name(ending.signal or 0)
        case End.EXITED if in_short:
            return f"exit {ending.status}"
        case _:
            return printable(ending.words)


def _widths(header: _Cells, cells: Sequence[_Cells]) -> list[int]:
    return [
        max(map(len, column))
        for column in zip(*(each[:5] for each in (header, *cells)), strict=True)
    ]


def _width(header: _Cells, cells: Sequence[_Cells]) -> int:
    return sum(_widths(header, cells)) + 5 * len(_GAP)


def _line(cells: _Cells, widths: Sequence[int]) -> Text:
    start, time, end, lines, only = widths
    return Text.assemble(
        (f"{_GAP}{cells.start:>{start}}{_GAP}{cells.time:>{time}}", "dim"),
        (f"{_GAP}{cells.end:<{end}}", cells.style),
        (f"{_GAP}{cells.lines:>{lines}}", "dim" if cells is _HEADER else ""),
        (f"{_GAP}{cells.only:>{only}}", cells.style if cells.style == "dim" else "green"),
    )


def _summary(provenance: Provenance) -> Text:
    images = len(provenance.processes)
    known = {each.image_id for each in provenance.processes}
    # Not the number of pids, which may be reused. An exec begins another image of the same process.
    processes = sum(
        each.started is not StartKind.EXECED or each.parent not in known
        for each in provenance.processes
    )
    parts = [f"{processes} measured process{'' if processes == 1 else 'es'}"]
    if images != processes:
        parts.append(f"{images - processes} exec{'' if images - processes == 1 else 's'}")
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
    End.DETACHED: "",
    End.UNKNOWN: "dim",
}
