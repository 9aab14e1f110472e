"""The values that `covsup why` answers with."""

from __future__ import annotations

import os
from enum import Enum
from typing import TYPE_CHECKING

from covsup.datafile.provenance.model import End
from covsup.hints import NamedTuple

if TYPE_CHECKING:
    from covsup.datafile.provenance.model import ProcessRecord


class Verdict(Enum):
    """What is true of a line or a branch."""

    RAN = "ran"
    NOT_RUN = "never ran"
    EXCLUDED = "excluded"
    NO_STATEMENT = "no statement"
    NO_BRANCH = "no branch"
    NOT_MEASURED = "not measured"


class About(Enum):
    """What a reason is about."""

    STATEMENT = "statement"
    FILE = "file"
    FUNCTION = "function"
    WAY = "way"
    UNMEASURED = "unmeasured process"
    LOSS = "loss"
    SOURCE = "source"
    RUNNING = "running"
    DATA = "data"


class Reason(NamedTuple):
    """A sentence of the answer."""

    about: About
    sentence: str


class Bound(NamedTuple):
    """A moment before or after which something happened."""

    at_ns: int  # wall clock
    known_from: str  # "start of the process", "mark NAME", ...


class Runner(NamedTuple):
    """Who ran a line first."""

    chain: tuple[ProcessRecord, ...]  # from the first process of the session to the one that ran it
    after: Bound
    before: Bound | None  # None: the process still runs
    is_shared: bool  # at least one other image ran it, too

    @property
    def process(self) -> ProcessRecord:
        """The image that ran it."""
        return self.chain[-1]


class WhyAnswer(NamedTuple):
    """The answer to one question."""

    path: str
    line: int
    to: int | None
    statement: int  # the line that the statement of `line` begins at
    source: str  # the text of `line`; "" = unknown
    verdict: Verdict
    runner: Runner | None = None
    contexts: tuple[str, ...] = ()  # the labels it ran in; "" = without a context
    reasons: tuple[Reason, ...] = ()
    is_live: bool = False  # the session is not combined yet


def may_run(process: ProcessRecord, *, is_live: bool) -> bool:
    """Whether a process may still run. The supervisor records a process that runs a little later."""
    end = process.ending.end
    return end is End.RUNNING or (is_live and end is End.UNKNOWN and not process.ended_ns)


def end_words(process: ProcessRecord, *, is_live: bool) -> str:
    """How a process ended, in few words."""
    if process.ending.end is End.EXECED:
        return f"exec {os.path.basename(process.ending.detail)}".rstrip()
    if process.ending.end is End.UNKNOWN:
        return "no end recorded yet" if is_live else "end unknown"
    return process.ending.words
