"""What the widgets draw: values that the reading thread makes and that never change.

The widgets ask for something (`Wanted`), and get a `Board` for the lists and a `SourcePicture` for one
file.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol

from covsup.hints import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from covsup.datafile.fold.sets import LineSet
    from covsup.datafile.provenance.model import Ending, ProcessRecord, Provenance
    from covsup.datafile.session.marks import Mark
    from covsup.views.sources.highlight import Piece


class ProcessNode(Protocol):
    """A process in the tree of a session, with those that it started."""

    @property
    def how(self) -> str:
        """How it started."""

    @property
    def pid(self) -> int:
        """Its process id."""

    @property
    def argv(self) -> tuple[str, ...]:
        """Its command line."""

    @property
    def at_ns(self) -> int:
        """When it started."""

    @property
    def ending(self) -> Ending | None:
        """How it ended. None = unknown."""

    @property
    def ended_ns(self) -> int:
        """When it ended. 0 = unknown."""

    @property
    def image(self) -> ProcessRecord | None:
        """The measured image. None: not measured."""

    @property
    def reason(self) -> str:
        """Why it is not measured, if it should be."""

    @property
    def below(self) -> Sequence[ProcessNode]:
        """The processes that it started."""


class Describing(NamedTuple):
    """What the command gives to the view: how processes are put into a tree and into words, and how
    a mark is set.
    """

    process_trees: Callable[[Provenance], Sequence[ProcessNode]]
    short_command: Callable[[Sequence[str], int], str]  # a command line, and the room for it
    set_mark: Callable[[Path, str], None] | None = None  # in a session directory; by name


class ProcessRow(NamedTuple):
    """A process in the list."""

    key: str
    guide: str  # the lines of the tree before it
    how: str
    pid: int
    argv: tuple[str, ...]
    started_ns: int
    ended_ns: int
    end: str  # "running", "exit 0", "SIGKILL"; "" = unknown
    is_running: bool
    was_killed: bool
    is_program: bool  # a program that needs no measurement
    reason: str  # why it is not measured
    image_id: str  # "" = not measured
    first: int  # lines that it was the first to execute
    lines: int  # lines that it executed
    python: str
    details: str


class FileRow(NamedTuple):
    """A file in the list."""

    key: str  # its path
    name: str  # as it is shown
    lines: int  # lines that ran, statements or not
    analysed: bool
    statements: int
    executed: int
    branches: int
    missing_branches: int
    percent: float | None
    changed_ns: int  # when a line of it last ran for the first time
    problem: str  # why there is no analysis


class ContextRow(NamedTuple):
    """A context in the list."""

    key: str  # the label
    lines: int
    files: int
    order: int  # of its appearance


class MarkRow(NamedTuple):
    """A mark in the list."""

    key: str
    mark: Mark
    lines: int  # that had run then
    new: int  # that have run since


class Totals(NamedTuple):
    """The numbers of the header."""

    files: int = 0
    analysed: int = 0
    statements: int = 0
    executed: int = 0
    branches: int = 0
    taken: int = 0
    lines: int = 0  # that ran, in files that are not analysed, too
    running: int = 0
    processes: int = 0
    unmeasured: int = 0

    @property
    def percent(self) -> float | None:
        """Of statements and branches, by coverage.py's rule. None: nothing is analysed yet."""
        total = self.statements + self.branches
        return 100.0 * (self.executed + self.taken) / total if total else None


class Board(NamedTuple):
    """Everything that the lists show."""

    at_ns: int = 0
    place: Path | None = None
    is_live: bool = True
    command: tuple[str, ...] = ()
    is_run: bool = False  # of `covsup run`
    started_ns: int = 0
    ended_ns: int = 0  # 0: it runs, or that is unknown
    totals: Totals = Totals()
    processes: Sequence[ProcessRow] = ()
    files: Sequence[FileRow] = ()
    contexts: Sequence[ContextRow] = ()
    marks: Sequence[MarkRow] = ()
    since: MarkRow | None = None
    new: Mapping[str, int] = MappingProxyType({})
    """By path: new lines since the mark, where a mark is chosen."""
    scoped: Mapping[str, int] | None = None
    """By path: lines of the process or context that was chosen. None: none was."""
    history: Sequence[int] = ()  # new lines in each of the last seconds
    history_of: Mapping[str, Sequence[int]] = MappingProxyType({})  # by image id
    problem: str = ""


class SourcePicture(NamedTuple):
    """A source file and what ran of it."""

    path: str
    name: str
    pieces: Sequence[Sequence[Piece]]  # of each line; line 1 is the first
    executed: LineSet  # lines that are executed statements, with their other lines
    missing: LineSet
    excluded: LineSet
    missing_branches: Mapping[int, tuple[int, ...]]
    fresh: frozenset[int]  # lines that ran for the first time a moment ago
    only: LineSet | None  # new since the mark, or of the chosen process or context; None: no choice
    row: FileRow | None
    problem: str


class LineStory(NamedTuple):
    """Who ran a line."""

    path: str
    line: int
    first: str  # the process that ran it first; "" = unknown
    others: bool  # whether another process ran it, too
    contexts: Sequence[str]
    more_contexts: int  # that are not listed


class Scope(NamedTuple):
    """A process or a context that the user chose: files and sources show its lines alone."""

    image_id: str  # "" = a context
    label: str  # of the context
    title: str


class Wanted(NamedTuple):
    """What the widgets show now. The reading thread makes this first."""

    path: str = ""  # of the source that is shown
    line: int = 0  # under the cursor
    since: Mark | None = None
    visible: Sequence[str] = ()  # paths in sight, whose analysis is wanted first
    scope: Scope | None = None
