"""What any number of process images did: the values that a fold unites.

Every field of a `Result` is a set, a maximum or a minimum, so that uniting two of them is
commutative, associative and idempotent. What needs an opinion (who is whose parent, how a process
ended) is no field here: it is derived (`covsup.datafile.provenance.derive`).
"""

from __future__ import annotations

from enum import Enum
from types import MappingProxyType

from covsup.hints import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TypeAlias, TypeVar

    from covsup.datafile.fold.sets import ArcSet, LineSet
    from covsup.datafile.journal.events import AboutToExec, Ended, ExecFailed
    from covsup.datafile.journal.header import Core, StartKind
    from covsup.datafile.session.notes import SessionNote
    from covsup.datafile.session.observations import Observation
    from covsup.datafile.session.settings import Settings

    SomeEvent = TypeVar("SomeEvent", AboutToExec, Ended, ExecFailed)
    Something = TypeVar("Something")

PathContext: TypeAlias = tuple[str, str]
"""A measured path and a context label."""

ImageKey: TypeAlias = tuple[int, str]
"""An image that executed something: its start (wall clock, ns) and its id. Ordered by time."""


class Kind(Enum):
    """What a result holds."""

    LINES = "lines"
    ARCS = "branches"


class Identity(NamedTuple):
    """What never changes in the life of an image."""

    image_id: str
    session: str  # "" = the journal was found outside of a session
    pid: int
    ppid: int
    parent_id: str | None  # forked or exec'ed: that image; spawned: whose environment it got
    started: StartKind
    generation: int
    started_ns: int  # wall clock
    boottime_ns: int  # since boot
    python: int  # hexversion
    core: Core
    branch: bool
    uid: int

    @property
    def owner(self) -> ImageKey:
        """The image as the owner of facts."""
        return (self.started_ns, self.image_id)


class Lost(NamedTuple):
    """What an image could not store, with the first reason."""

    facts: int = 0
    events: int = 0
    errno: int = 0
    stage: int = 0

    def __bool__(self) -> bool:
        """Whether anything was lost."""
        return bool(self.facts or self.events)

    def union(self, other: Lost) -> Lost:
        """The larger loss: the counters of one image only grow."""
        reason = _agreed_reason((self.errno, self.stage), (other.errno, other.stage))
        return Lost(
            facts=max(self.facts, other.facts),
            events=max(self.events, other.events),
            errno=reason[0],
            stage=reason[1],
        )


class Image(NamedTuple):
    """What is known of one process image from its own journal, and from who looked at it."""

    identity: Identity
    properties: frozenset[tuple[str, str]] = frozenset()
    ended: Ended | None = None
    about_to_exec: AboutToExec | None = None  # the last one
    exec_failed: ExecFailed | None = None  # the last one
    libraries: frozenset[tuple[str, str]] = frozenset()
    tracers: frozenset[str] = frozenset()
    notes: frozenset[tuple[int, str]] = frozenset()
    lines: int = 0  # lines that it executed itself
    threads: int = 0
    lost: Lost = Lost()
    forks_lost: Lost = Lost()  # by its forks while they had no journal at all
    running_ns: int = 0  # when it was last seen running, wall clock
    gone_ns: int = 0  # when it was seen to run no more, wall clock

    def said(self) -> dict[str, str]:
        """Its properties by key; one of them where looks at it do not agree, always the same."""
        return dict(sorted(self.properties, reverse=True))

    def union(self, other: Image) -> Image:
        """Everything that two looks at the same image say."""
        return Image(
            identity=consistent_choice(self.identity, other.identity),
            properties=self.properties | other.properties,
            ended=last(self.ended, other.ended),
            about_to_exec=last(self.about_to_exec, other.about_to_exec),
            exec_failed=last(self.exec_failed, other.exec_failed),
            libraries=self.libraries | other.libraries,
            tracers=self.tracers | other.tracers,
            notes=self.notes | other.notes,
            lines=max(self.lines, other.lines),
            threads=max(self.threads, other.threads),
            lost=self.lost.union(other.lost),
            forks_lost=self.forks_lost.union(other.forks_lost),
            running_ns=max(self.running_ns, other.running_ns),
            gone_ns=max(self.gone_ns, other.gone_ns),
        )


class ChildExit(NamedTuple):
    """An image waited for a child and got this raw status."""

    by: str
    at_ns: int
    pid: int
    status: int


class Spawn(NamedTuple):
    """An image started another program."""

    by: str
    at_ns: int
    pid: int
    argv: tuple[str, ...]


class FailedSpawn(NamedTuple):
    """What an image had started as another program could not execute it, and ended by then."""

    by: str
    at_ns: int
    pid: int


class Problem(NamedTuple):
    """Something in a journal that could not be used."""

    session: str
    journal: str
    what: str
    unused: bool  # the journal holds something that was not used: it must not be deleted


class Version(NamedTuple):
    """What a source file was when it was measured."""

    stamp: str  # when it was last changed, and its size, as a journal says it
    digest: str = ""  # of its contents; "" = not known: it was changed before they were read


class Result(NamedTuple):
    """What any number of images did. Not to be changed once made: folds share its parts."""

    kind: Kind | None = None  # None: nothing was executed
    lines: Mapping[PathContext, LineSet] = MappingProxyType({})
    """Of a branch measurement, too: there, a line is what coverage.py calls the arc (line, line)."""
    arcs: Mapping[PathContext, ArcSet] = MappingProxyType({})
    modules: Mapping[str, frozenset[str]] = MappingProxyType({})
    plugins: Mapping[str, frozenset[str]] = MappingProxyType({})
    """By path: the plugins of coverage.py's that told its facts; nearly always one."""
    versions: Mapping[str, frozenset[Version]] = MappingProxyType({})
    """By path: what the file was when it was measured; one version, if it was not edited."""
    first: Mapping[str, Mapping[ImageKey, LineSet]] = MappingProxyType({})
    """By path: the lines that each image was the first to execute; no line is in two of them."""
    shared: Mapping[str, LineSet] = MappingProxyType({})
    """By path: the lines that more than one image executed."""
    images: Mapping[str, Image] = MappingProxyType({})
    child_exits: frozenset[ChildExit] = frozenset()
    spawns: frozenset[Spawn] = frozenset()
    stillborn: frozenset[FailedSpawn] = frozenset()
    sessions: Mapping[str, Settings] = MappingProxyType({})
    observations: frozenset[tuple[str, Observation]] = frozenset()
    notes: frozenset[tuple[str, SessionNote]] = frozenset()
    problems: frozenset[Problem] = frozenset()

    def paths(self) -> set[str]:
        """Every path of which anything is known."""
        return {
            *(path for path, _ in self.lines),
            *(path for path, _ in self.arcs),
            *self.modules,
            *self.plugins,
            *self.versions,
            *self.first,
        }

    def unique_lines(self) -> dict[str, int]:
        """By image: how many lines it executed that no other image did."""
        counts: dict[str, int] = {}
        for path, owners in self.first.items():
            shared = self.shared.get(path, 0)
            for (_, image_id), bits in owners.items():
                alone = (bits & ~shared).bit_count()
                if alone:
                    counts[image_id] = counts.get(image_id, 0) + alone
        return counts


def has_content(result: Result) -> bool:
    """Whether there is more in a result than the settings of its sessions."""
    return bool(result._replace(sessions={}) != Result(sessions={}))


def last(one: SomeEvent | None, other: SomeEvent | None) -> SomeEvent | None:
    """The later of two events of a kind."""
    if one is None or other is None:
        return other if one is None else one
    return max(one, other, key=lambda event: (event.at_ns, repr(event)))


def consistent_choice(one: Something, other: Something) -> Something:
    """Either, as they should be equal; where a damaged journal says otherwise, always the same."""
    return one if one == other else min(one, other, key=repr)


def _agreed_reason(one: tuple[int, int], other: tuple[int, int]) -> tuple[int, int]:
    """The first reason of a loss does not change; (0, 0) is none yet."""
    return max(one, other) if (0, 0) in (one, other) else min(one, other)
