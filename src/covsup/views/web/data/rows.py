"""The values that the page gets, as JSON has them. Keys may be added later.

Times are milliseconds since 1970. Lines are numbers of source lines. A file, a context and a mark
have a number that stays the same as long as the server runs.
"""

from __future__ import annotations

from typing import TypedDict


class File(TypedDict):
    """One measured file. The counts are those of `coverage report`."""

    id: int
    path: str
    statements: int | None  # None: the source is not analysed yet, or cannot be analysed
    executed: int
    branches: int
    taken: int
    lines: int  # lines that ran, also those that are no statements
    moved: int | None  # when the last new line was found


class ProcessEnd(TypedDict):
    """How a process ended."""

    how: str  # exited, killed, exec, running, unknown
    status: int | None
    signal: str | None
    words: str


class Process(TypedDict):
    """One process image, or one process without a journal."""

    id: str
    parent: str | None  # of an exec's image: the image before it
    how: str  # fork, exec N, spawn, start; "" = unknown
    pid: int
    command: str  # shortened
    argv: list[str]
    cwd: str | None
    started: int
    ended: int | None
    end: ProcessEnd
    measured: bool
    reason: str | None  # why it is not measured; None where there is nothing to measure
    lines: int  # that it ran
    first: int  # that it was the first to run
    threads: int
    python: str | None
    generation: int  # one more per exec


class Context(TypedDict):
    """One label."""

    id: int
    label: str
    lines: int  # that ran under it


class PageMark(TypedDict):
    """One named moment."""

    id: int
    name: str
    at: int


class Totals(TypedDict):
    """Sums over the analysed files."""

    statements: int
    executed: int
    branches: int
    taken: int
    percent: float
    files: int
    analysed: int  # of them, also those whose source cannot be analysed


Activity = tuple[int, int]
"""A time, and the number of lines that were found then to have run for the first time."""


class State(TypedDict):
    """Everything but the sources."""

    version: int
    title: str
    place: str
    live: bool
    finished: bool
    can_mark: bool
    branch: bool
    at: int
    revision: int
    files: list[File]
    processes: list[Process]
    contexts: list[Context]
    marks: list[PageMark]
    totals: Totals
    activity: list[Activity]


class Change(TypedDict):
    """What is different from the revision before. A row replaces the row with the same id."""

    revision: int
    at: int
    live: bool
    finished: bool
    lines: dict[str, list[int]]  # by the number of the file: lines that ran for the first time
    files: list[File]
    processes: list[Process]
    contexts: list[Context]
    marks: list[PageMark]
    totals: Totals
    activity: list[Activity]


class SourceRegion(TypedDict):
    """A function or a class."""

    kind: str
    name: str
    start: int
    end: int | None  # its last line
    statements: int
    executed: int


class Source(TypedDict):
    """One file, to be shown."""

    id: int
    path: str
    lines: list[list[tuple[str, str]]]  # of each line: CSS class and text of each token
    statements: list[int]
    executed: list[int]
    excluded: list[int]
    missing_branches: dict[str, list[int]]
    first: dict[str, str]  # by line: the process that ran it first
    contexts: dict[str, list[int]]  # by line: some of the contexts in which it ran
    context_counts: dict[str, int]  # by line: in how many contexts it ran
    regions: list[SourceRegion]
    digest_differs: bool  # the file is not what was measured
    error: str | None  # why there is no text, or no analysis


class LinesOfFile(TypedDict):
    """Lines of a file."""

    file: int
    lines: list[int]


class ContextFiles(TypedDict):
    """What ran in a context."""

    id: int
    files: list[LinesOfFile]


class NewInFile(TypedDict):
    """What is new in a file."""

    file: int
    lines: list[int]
    arcs: list[tuple[int, int]]


class Since(TypedDict):
    """What ran for the first time since a mark was set."""

    files: list[NewInFile]


class UnusedItem(TypedDict):
    """Code that never ran: a module, a class or a function, or the rest of one that did."""

    file: int
    kind: str  # module, class, method, function
    name: str  # qualified; "" of a module
    start: int
    statements: int  # that never ran
    branches: int  # exits that were not taken, of lines that ran
    executed: int  # statements of the function that ran
    why: str  # "never imported", "never defined", "never called", "partly run", "load time"


class Unused(TypedDict):
    """The code that never ran, biggest first."""

    complete: bool  # every file is analysed
    items: list[UnusedItem]
