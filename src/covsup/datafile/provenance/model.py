"""Who executed what: the values that `covsup tree` and the last lines of a run show."""

from __future__ import annotations

import signal
from enum import Enum

from covsup.datafile.journal.header import StartKind
from covsup.hints import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from covsup.datafile.fold.result import Lost, Problem
    from covsup.datafile.session.notes import SessionNote
    from covsup.datafile.session.settings import Settings


class End(Enum):
    """The ways in which a process image ends."""

    EXITED = "exited"
    KILLED = "killed"
    EXECED = "exec"
    RUNNING = "running"
    DETACHED = "detached"
    UNKNOWN = "unknown"


class KnownFrom(Enum):
    """Where something is known from."""

    ITSELF = "itself"
    PARENT = "parent"
    SUPERVISOR = "supervisor"
    SUCCESSOR = "next image"
    ENVIRONMENT = "environment"
    PROCESS_ID = "process id"
    NOBODY = ""


class Ending(NamedTuple):
    """How an image ended, and where that is known from."""

    end: End
    known_from: KnownFrom = KnownFrom.NOBODY
    status: int | None = None  # of EXITED: the exit status
    signal: int | None = None  # of KILLED
    core_dumped: bool = False
    detail: str = ""  # of EXECED: the program; of EXITED: "os._exit" where it was that

    @property
    def words(self) -> str:
        """A few words for a table."""
        match self.end:
            case End.EXITED:
                by = f" by {self.detail}" if self.detail else ""
                return f"exit {self.status}{by}"
            case End.KILLED:
                dumped = " (core dumped)" if self.core_dumped else ""
                return f"killed by {signal_name(self.signal or 0)}{dumped}"
            case End.EXECED:
                return f"exec {self.detail}".rstrip()
            case End.RUNNING:
                return "still running"
            case End.DETACHED:
                return "detached"
            case End.UNKNOWN:
                return "unknown"


class ProcessRecord(NamedTuple):
    """One measured process image."""

    image_id: str
    session: str
    pid: int
    ppid: int
    parent: str | None  # an image id; None = not below a measured process, or unknown
    parent_known_from: KnownFrom
    started: StartKind
    generation: int  # 0, and one more per exec in the same process
    started_ns: int  # wall clock
    argv: tuple[str, ...]
    executable: str
    cwd: str
    host: str
    python: str  # "3.13.0"
    core: str
    branch: bool
    ending: Ending
    lines: int  # that it executed itself
    unique_lines: int  # that no other image executed
    threads: int
    libraries: tuple[tuple[str, str], ...]  # name and version
    tracers: tuple[str, ...]  # trace functions that the program installed
    notes: tuple[str, ...]
    lost: Lost
    forks_lost: Lost  # by its forked children while they had no journal at all
    ended_ns: int = 0  # wall clock; 0 = unknown
    attached: bool = False  # it ran before it was measured, from `started_ns` on

    @property
    def how_started(self) -> str:
        """ "fork", "exec 3", "spawn", "attached", or "start" where no process of the session
        started it.
        """
        if self.attached:
            return "attached"
        match self.started:
            case StartKind.FORKED:
                return "fork"
            case StartKind.EXECED:
                return f"exec {self.generation}"
            case _:
                return "spawn" if self.parent is not None else "start"


class ObservedRecord(NamedTuple):
    """One process that the supervisor observed, measured or not, Python or not."""

    session: str
    pid: int
    ppid: int
    create_time: float  # seconds since 1970
    argv: tuple[str, ...]
    executable: str
    python: bool | None
    ending: Ending
    images: tuple[str, ...]  # its measured images, oldest first
    reason: str  # why it is not measured, where the supervisor knows
    ended_ns: int = 0  # wall clock; 0 = unknown


class Unmeasured(NamedTuple):
    """A Python process of the session without a journal."""

    session: str
    pid: int
    argv: tuple[str, ...]
    reason: str
    at_ns: int = 0
    ppid: int = 0
    parent: str | None = None  # an image id


class FileShare(NamedTuple):
    """What one image executed first of one file."""

    path: str
    image_id: str
    first: int  # lines that it was the first to execute
    alone: int  # those of them that no other image executed


class Provenance(NamedTuple):
    """Everything that `covsup tree` and the last lines of a run show."""

    sessions: tuple[Settings, ...]  # oldest first
    processes: tuple[ProcessRecord, ...]  # by start
    observed: tuple[ObservedRecord, ...]
    unmeasured: tuple[Unmeasured, ...]
    notes: tuple[tuple[str, SessionNote], ...]  # session id and note; start-failed ones too
    problems: tuple[Problem, ...]
    files: tuple[FileShare, ...]

    @property
    def losses(self) -> tuple[ProcessRecord, ...]:
        """The processes that could not store something, or whose forked children could not."""
        return tuple(process for process in self.processes if process.lost or process.forks_lost)

    def of_session(self, session: str) -> Provenance:
        """The part of one session."""
        processes = tuple(each for each in self.processes if each.session == session)
        images = {each.image_id for each in processes}
        return Provenance(
            sessions=tuple(each for each in self.sessions if each.session == session),
            processes=processes,
            observed=tuple(each for each in self.observed if each.session == session),
            unmeasured=tuple(each for each in self.unmeasured if each.session == session),
            notes=tuple(each for each in self.notes if each[0] == session),
            problems=tuple(each for each in self.problems if each.session == session),
            files=tuple(each for each in self.files if each.image_id in images),
        )


def signal_name(number: int) -> str:
    """ "SIGKILL" for 9."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
