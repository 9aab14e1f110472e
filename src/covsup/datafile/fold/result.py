"""What any number of process images did: the values that a fold unites.

Every field of a `Result` is a set, a maximum or a minimum, so that the union of two results is
commutative, associative and idempotent. Anything that must be concluded from several fields (who is
whose parent, how a process ended) is not a field: `covsup.datafile.provenance.derive` derives it.
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
    from covsup.datafile.session.marks import Mark, MarkedFacts
    from covsup.datafile.session.notes import SessionNote
    from covsup.datafile.session.observations import Observation
    from covsup.datafile.session.settings import Settings

    SomeEvent = TypeVar("SomeEvent", AboutToExec, Ended, ExecFailed)
    Something = TypeVar("Something")

PathContext: TypeAlias = tuple[str, str]
"""A measured path and a context label."""

ImageKey: TypeAlias = tuple[int, str]
"""An image: its start (wall clock, ns since 1970) and its id. Ordered by time."""


class Kind(Enum):
    """What a result holds."""

    LINES = "lines"
    ARCS = "branches"


class Identity(NamedTuple):
    """What does not change during the life of an image."""

    image_id: str
    session: str  # "" = its journal is outside of a session directory
    pid: int
    ppid: int
    parent_id: str | None
    """The image that forked it or execed it; of a spawned image, the one in its COVSUP_PARENT."""
    started: StartKind
    generation: int
    started_ns: int  # wall clock
    boottime_ns: int  # its start since boot
    python: int  # hexversion
    core: Core
    branch: bool
    uid: int

    @property
    def key(self) -> ImageKey:
        """The image in the maps of a result that say who executed a line first."""
        return (self.started_ns, self.image_id)


class Lost(NamedTuple):
    """How much an image could not store, and why it first could not."""

    facts: int = 0
    events: int = 0
    errno: int = 0
    stage: int = 0

    def __bool__(self) -> bool:
        """Whether anything was lost."""
        return bool(self.facts or self.events)

    def union(self, other: Lost) -> Lost:
        """The larger of two counts of one image: its counters only grow."""
        reason = _agreed_reason((self.errno, self.stage), (other.errno, other.stage))
        return Lost(
            facts=max(self.facts, other.facts),
            events=max(self.events, other.events),
            errno=reason[0],
            stage=reason[1],
        )


class Image(NamedTuple):
    """What is known of one process image, from its journal and from the supervisor."""

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
    forks_lost: Lost = Lost()  # by its forked children while they had no journal at all
    running_ns: int = 0  # when it was last seen running, wall clock
    gone_ns: int = 0  # when it was last seen not to run any more, wall clock

    def property_values(self) -> dict[str, str]:
        """Its properties by key. Of several values of a key it is always the smallest."""
        return dict(sorted(self.properties, reverse=True))

    def union(self, other: Image) -> Image:
        """What two readings of the same image say together."""
        return Image(
            identity=consistent_choice(self.identity, other.identity),
            properties=self.properties | other.properties,
            ended=later_event(self.ended, other.ended),
            about_to_exec=later_event(self.about_to_exec, other.about_to_exec),
            exec_failed=later_event(self.exec_failed, other.exec_failed),
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
    """An image waited for a child and got this raw wait status."""

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
    """A child that an image spawned could not execute its program, and ended."""

    by: str
    at_ns: int
    pid: int


class Problem(NamedTuple):
    """Something in a journal that cannot be used."""

    session: str
    journal: str
    what: str
    unused: bool  # a part of the journal was not used, so it must not be deleted


class Version(NamedTuple):
    """The version of a source file that was measured."""

    stamp: str  # the time of its last change and its size, as a journal has them
    digest: str = ""  # of its contents; "" = unknown: it changed before it was read


class Result(NamedTuple):
    """What any number of images did. Its maps must not be changed: folds share them."""

    kind: Kind | None = None  # None: nothing was executed
    lines: Mapping[PathContext, LineSet] = MappingProxyType({})
    """A branch measurement has lines as well: coverage.py calls such a line the arc (line, line)."""
    arcs: Mapping[PathContext, ArcSet] = MappingProxyType({})
    modules: Mapping[str, frozenset[str]] = MappingProxyType({})
    plugins: Mapping[str, frozenset[str]] = MappingProxyType({})
    """By path: the plugins of coverage.py that traced the file; nearly always one."""
    versions: Mapping[str, frozenset[Version]] = MappingProxyType({})
    """By path: the versions that were measured; one, if the file was not edited in between."""
    first: Mapping[str, Mapping[ImageKey, LineSet]] = MappingProxyType({})
    """By path: the lines that each image was the first to execute. No line has two images."""
    shared: Mapping[str, LineSet] = MappingProxyType({})
    """By path: the lines that more than one image executed."""
    images: Mapping[str, Image] = MappingProxyType({})
    child_exits: frozenset[ChildExit] = frozenset()
    spawns: frozenset[Spawn] = frozenset()
    failed_spawns: frozenset[FailedSpawn] = frozenset()
    sessions: Mapping[str, Settings] = MappingProxyType({})
    observations: frozenset[tuple[str, Observation]] = frozenset()
    notes: frozenset[tuple[str, SessionNote]] = frozenset()
    problems: frozenset[Problem] = frozenset()
    marks: Mapping[Mark, MarkedFacts] = MappingProxyType({})
    """By mark: what had been executed when it was set."""

    def paths(self) -> set[str]:
        """Every path of which the result says anything."""
        return {
            *(path for path, _ in self.lines),
            *(path for path, _ in self.arcs),
            *self.modules,
            *self.plugins,
            *self.versions,
            *self.first,
            *(path for facts in self.marks.values() for path in (*facts.lines, *facts.arcs)),
        }

    def unique_lines(self) -> dict[str, int]:
        """By image id: how many lines it executed that no other image did."""
        counts: dict[str, int] = {}
        for path, owners in self.first.items():
            shared = self.shared.get(path, 0)
            for (_, image_id), bits in owners.items():
                alone = (bits & ~shared).bit_count()
                if alone:
                    counts[image_id] = counts.get(image_id, 0) + alone
        return counts


def has_content(result: Result) -> bool:
    """Whether a result holds more than the settings of its sessions."""
    return bool(result._replace(sessions={}) != Result(sessions={}))


def later_event(one: SomeEvent | None, other: SomeEvent | None) -> SomeEvent | None:
    """The later of two events of one kind, of which either may be missing."""
    if one is None or other is None:
        return other if one is None else one
    return max(one, other, key=lambda event: (event.at_ns, repr(event)))


def consistent_choice(one: Something, other: Something) -> Something:
    """One of two values that are equal, unless a journal is damaged. Then it is always the same one."""
    return one if one == other else min(one, other, key=repr)


def _agreed_reason(one: tuple[int, int], other: tuple[int, int]) -> tuple[int, int]:
    """The reason of a loss. The first one does not change; (0, 0) = none yet."""
    return max(one, other) if (0, 0) in (one, other) else min(one, other)
