"""The fold: the union of what any number of process images did, into one result.

`fold` is commutative, associative and idempotent, and its result is a valid input of another
fold, so that journals may be folded in any order, in parts, again, and while their owners still
write. That holds because every field of a `Result` is a set, a maximum or a minimum; what needs
an opinion (who is whose parent, how a process ended) is left to `covsup.datafile.provenance`,
which derives it from a result.

Pure: it gets the contents of journals and gives a value. It must never know a clock, a process
table, a terminal, a file.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TYPE_CHECKING, Final, Self, TypeAlias, TypeVar, assert_never

from covsup.datafile.errors import CovsupError
from covsup.datafile.journal import (
    AboutToExec,
    Ended,
    ExecFailed,
    LibraryUsed,
    Note,
    Reaped,
    Spawned,
    UserTracer,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from covsup.datafile.journal import Core, Event, Journal, StartKind
    from covsup.datafile.session import Observation, SessionNote, Settings

Bits: TypeAlias = int
"""A set of line numbers: bit n is line n. Its little-endian bytes are coverage.py's numbits."""

Arc: TypeAlias = tuple[int, int]
Key: TypeAlias = tuple[str, str]
"""A measured path and a context label."""

Owner: TypeAlias = tuple[int, str]
"""An image that executed something: its start (wall clock, ns) and its id. Ordered by time."""

SomeEvent = TypeVar("SomeEvent", AboutToExec, Ended, ExecFailed)
Something = TypeVar("Something")

LARGEST_LINE: Final = (1 << 24) - 1
"""Lines above are not kept: a damaged number must not cost more memory than 2 MiB a file."""


class MixedMeasurement(CovsupError):
    """Line data met branch data: one result holds either. Fold them one kind at a time."""


class Kind(Enum):
    """What a result holds."""

    LINES = "lines"
    ARCS = "branches"


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
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
    def owner(self) -> Owner:
        """The image as the owner of facts."""
        return (self.started_ns, self.image_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
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
    lost: Lost = field(default_factory=Lost)
    running_ns: int = 0  # when it was last seen running, wall clock
    gone_ns: int = 0  # when it was seen to run no more, wall clock

    def union(self, other: Image) -> Image:
        """Everything that two looks at the same image say."""
        return Image(
            identity=_agreed(self.identity, other.identity),
            properties=self.properties | other.properties,
            ended=_last(self.ended, other.ended),
            about_to_exec=_last(self.about_to_exec, other.about_to_exec),
            exec_failed=_last(self.exec_failed, other.exec_failed),
            libraries=self.libraries | other.libraries,
            tracers=self.tracers | other.tracers,
            notes=self.notes | other.notes,
            lines=max(self.lines, other.lines),
            threads=max(self.threads, other.threads),
            lost=self.lost.union(other.lost),
            running_ns=max(self.running_ns, other.running_ns),
            gone_ns=max(self.gone_ns, other.gone_ns),
        )


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Reap:
    """An image waited for a child and got this raw status."""

    by: str
    at_ns: int
    pid: int
    status: int


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Spawn:
    """An image started another program."""

    by: str
    at_ns: int
    pid: int
    argv: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Problem:
    """Something in a journal that could not be used."""

    session: str
    journal: str
    what: str
    unused: bool  # the journal holds something that was not used: it must not be deleted


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What any number of images did. Not to be changed once made: folds share its parts."""

    kind: Kind | None = None  # None: nothing was executed
    lines: Mapping[Key, Bits] = field(default_factory=dict)
    arcs: Mapping[Key, frozenset[Arc] | set[Arc]] = field(default_factory=dict)
    modules: Mapping[str, frozenset[str]] = field(default_factory=dict)
    first: Mapping[str, Mapping[Owner, Bits]] = field(default_factory=dict)
    """By path: the lines that each image was the first to execute; no line is in two of them."""
    shared: Mapping[str, Bits] = field(default_factory=dict)
    """By path: the lines that more than one image executed."""
    images: Mapping[str, Image] = field(default_factory=dict)
    reaps: frozenset[Reap] = frozenset()
    spawns: frozenset[Spawn] = frozenset()
    sessions: Mapping[str, Settings] = field(default_factory=dict)
    observations: frozenset[tuple[str, Observation]] = frozenset()
    notes: frozenset[tuple[str, SessionNote]] = frozenset()
    problems: frozenset[Problem] = frozenset()

    def remapped(self, map_path: Callable[[str], str]) -> Result:
        """The same with every path replaced; paths that become one are united."""
        folding = Folding()
        folding.add(replace(self, lines={}, arcs={}, modules={}, first={}, shared={}))
        folding.add_facts(self, {path: map_path(path) for path in self.paths()})
        return folding.result()

    def paths(self) -> set[str]:
        """Every path of which anything is known."""
        return {
            *(path for path, _ in self.lines),
            *(path for path, _ in self.arcs),
            *self.modules,
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


class Folding:
    """A fold under way: takes results one by one and holds no more than their union."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._kind: Kind | None = None
        self._lines: dict[Key, Bits] = {}
        self._arcs: dict[Key, set[Arc]] = {}
        self._modules: dict[str, frozenset[str]] = {}
        self._first: dict[str, dict[Owner, Bits]] = {}
        self._shared: dict[str, Bits] = {}
        self._images: dict[str, Image] = {}
        self._sessions: dict[str, Settings] = {}
        self._reaps: set[Reap] = set()
        self._spawns: set[Spawn] = set()
        self._observations: set[tuple[str, Observation]] = set()
        self._notes: set[tuple[str, SessionNote]] = set()
        self._problems: set[Problem] = set()

    def add(self, result: Result) -> Self:
        """Take in one more result. Raises MixedMeasurement, and is then unchanged."""
        self.add_facts(result, None)
        for image_id, image in result.images.items():
            known = self._images.get(image_id)
            self._images[image_id] = image if known is None else known.union(image)
        for session, settings in result.sessions.items():
            known_settings = self._sessions.get(session, settings)
            self._sessions[session] = _agreed(known_settings, settings)
        self._reaps |= result.reaps
        self._spawns |= result.spawns
        self._observations |= result.observations
        self._notes |= result.notes
        self._problems |= result.problems
        return self

    def add_facts(self, result: Result, new_path: Mapping[str, str] | None) -> None:
        """Take in what was executed, under other paths if `new_path` gives some."""
        self._agree_on(result.kind)
        if new_path is None:
            new_path = {path: path for path in result.paths()}
        for (path, context), bits in result.lines.items():
            key = (new_path[path], context)
            self._lines[key] = self._lines.get(key, 0) | bits
        for (path, context), arcs in result.arcs.items():
            self._arcs.setdefault((new_path[path], context), set()).update(arcs)
        for path, names in result.modules.items():
            to = new_path[path]
            self._modules[to] = self._modules.get(to, frozenset()) | names
        for path, owners in result.first.items():
            to = new_path[path]
            self._shared[to] = _unite_owners(
                self._first.setdefault(to, {}),
                self._shared.get(to, 0) | result.shared.get(path, 0),
                owners,
            )

    def result(self) -> Result:
        """The union so far. Later additions do not change it."""
        return Result(
            kind=self._kind,
            lines=dict(self._lines),
            arcs={key: set(arcs) for key, arcs in self._arcs.items()},
            modules=dict(self._modules),
            first={path: dict(owners) for path, owners in self._first.items()},
            shared={path: bits for path, bits in self._shared.items() if bits},
            images=dict(self._images),
            reaps=frozenset(self._reaps),
            spawns=frozenset(self._spawns),
            sessions=dict(self._sessions),
            observations=frozenset(self._observations),
            notes=frozenset(self._notes),
            problems=frozenset(self._problems),
        )

    def _agree_on(self, kind: Kind | None) -> None:
        if kind is None or kind is self._kind:
            return
        if self._kind is not None:
            raise MixedMeasurement(
                "line data meets branch data: one data file holds either; combine them one kind"
                " at a time, each with a --data-file of its own"
            )
        self._kind = kind


def fold(results: Iterable[Result]) -> Result:
    """The union of results. Raises MixedMeasurement where lines meet branches."""
    folding = Folding()
    for result in results:
        folding.add(result)
    return folding.result()


def result_of(
    journals: Sequence[Journal], *, session: str = "", static_context: str = ""
) -> Result:
    """What one image's journal says; `journals` are its segments, in any order, at least one.

    `static_context` is the label of context 0, which journals leave to the session's settings.
    """
    segments = sorted(journals, key=lambda journal: journal.header.segment)
    facts = _Facts(segments, static_context)
    events = _Events(segments)
    header = segments[0].header
    identity = Identity(
        image_id=header.image_id,
        session=session,
        pid=header.pid,
        ppid=header.ppid,
        parent_id=header.parent_image_id,
        started=header.start_kind,
        generation=header.generation,
        started_ns=header.start_realtime_ns,
        boottime_ns=header.start_boottime_ns,
        python=header.python_hexversion,
        core=header.core,
        branch=header.branch,
        uid=header.uid,
    )
    image = replace(
        events.image(identity),
        properties=frozenset(
            (key, value.decode("utf-8", "surrogateescape"))
            for journal in segments
            for key, value in journal.properties.items()
        ),
        lines=sum(bits.bit_count() for bits in facts.executed.values()),
        threads=max(journal.header.threads_started for journal in segments),
        lost=_lost_in(segments),
    )
    owner = identity.owner
    return Result(
        kind=facts.kind,
        lines=facts.lines,
        arcs=facts.arcs,
        modules=facts.modules,
        first={path: {owner: bits} for path, bits in facts.executed.items()},
        images={image.identity.image_id: image},
        reaps=frozenset(
            Reap(by=header.image_id, at_ns=each.at_ns, pid=each.pid, status=each.status)
            for each in events.reaped
        ),
        spawns=frozenset(
            Spawn(by=header.image_id, at_ns=each.at_ns, pid=each.pid, argv=tuple(each.argv))
            for each in events.spawned
        ),
        problems=frozenset(
            Problem(
                session=session,
                journal=f"{header.pid}-{header.image_id}",
                what=what,
                unused=unused,
            )
            for what, unused in facts.problems
        ),
    )


def result_of_session(
    settings: Settings,
    notes: Iterable[SessionNote] = (),
    observations: Iterable[Observation] = (),
) -> Result:
    """What a session directory says besides its journals."""
    session = settings.session
    return Result(
        sessions={session: settings},
        notes=frozenset((session, note) for note in notes),
        observations=frozenset((session, observation) for observation in observations),
    )


def seen(result: Result, *, running: Iterable[str], gone: Iterable[str], at_ns: int) -> Result:
    """The result with what was seen of its images at `at_ns`: which ran and which no longer."""
    images = dict(result.images)
    for image_id in running:
        images[image_id] = replace(images[image_id], running_ns=at_ns)
    for image_id in gone:
        images[image_id] = replace(images[image_id], gone_ns=at_ns)
    return replace(result, images=images)


def bits_of(numbers: Iterable[int]) -> Bits:
    """The set of line numbers as bits. None may be negative or above LARGEST_LINE."""
    listed = list(numbers)
    if not listed:
        return 0
    packed = bytearray(max(listed) // 8 + 1)
    for number in listed:
        packed[number >> 3] |= 1 << (number & 7)
    return int.from_bytes(packed, "little")


def numbers_in(bits: Bits) -> list[int]:
    """The line numbers in `bits`, ascending."""
    packed = bits.to_bytes((bits.bit_length() + 7) // 8, "little")
    return [
        8 * index + bit for index, byte in enumerate(packed) if byte for bit in _BITS_OF_BYTE[byte]
    ]


_BITS_OF_BYTE: Final = tuple(
    tuple(bit for bit in range(8) if byte >> bit & 1) for byte in range(256)
)


class _Facts:
    """The facts of one image, by path and label instead of by id."""

    def __init__(self, segments: Sequence[Journal], static_context: str) -> None:
        self.lines: dict[Key, Bits] = {}
        self.arcs: dict[Key, set[Arc]] = {}
        self.executed: dict[str, Bits] = {}
        self.modules: dict[str, frozenset[str]] = {}
        self.problems = [(what, True) for journal in segments for what in journal.problems]
        # Ids belong to the image: a later segment relies on what an earlier one defined.
        self._contexts = {0: _utf8(static_context)}
        self._paths: dict[int, str] = {}
        for journal in segments:
            for context_id, label in journal.contexts.items():
                self._contexts[context_id] = _utf8(label)
            for file_id, definition in journal.files.items():
                self._define(file_id, definition.path, definition.module)
        self._undefined = 0
        self._too_large = 0
        branch = segments[0].header.branch
        for journal in segments:
            for (file_id, context_id), lines in journal.lines.items():
                self._add_lines(file_id, context_id, lines, as_arcs=branch)
            for (file_id, context_id), arcs in journal.arcs.items():
                self._add_arcs(file_id, context_id, arcs, as_lines=not branch)
        self.kind: Kind | None = None
        if self.lines or self.arcs:
            self.kind = Kind.ARCS if branch else Kind.LINES
        if self._undefined:
            what = f"{self._undefined} facts are of files that the journal does not name"
            self.problems.append((what, True))
        if self._too_large:
            self.problems.append((f"{self._too_large} facts have impossible line numbers", False))

    def _define(self, file_id: int, path: str, module: str) -> None:
        try:
            path.encode("utf-8")
        except UnicodeEncodeError:
            # coverage.py's file holds text only, and coverage.py itself leaves such files out.
            self.problems.append((f"the file name {path!r} is no UTF-8: it is left out", False))
            return
        self._paths[file_id] = path
        if module:
            self.modules[path] = self.modules.get(path, frozenset()) | {module}

    def _key(self, file_id: int, context_id: int, facts: int) -> Key | None:
        path = self._paths.get(file_id)
        if path is None:
            self._undefined += facts
            return None
        label = self._contexts.get(context_id)
        if label is None:
            # The fact is worth more than its label.
            what = f"context {context_id} is not named: its facts go without one"
            self.problems.append((what, False))
            label = self._contexts[context_id] = self._contexts[0]
        return (path, label)

    def _add_lines(
        self, file_id: int, context_id: int, lines: Iterable[int], *, as_arcs: bool
    ) -> None:
        listed = list(lines)
        good = [line for line in listed if 0 < line <= LARGEST_LINE]
        self._too_large += sum(line > LARGEST_LINE for line in listed)
        key = self._key(file_id, context_id, len(listed))
        if key is None or not good:
            return
        bits = bits_of(good)
        self.executed[key[0]] = self.executed.get(key[0], 0) | bits
        if as_arcs:
            self.arcs.setdefault(key, set()).update((line, line) for line in good)
        else:
            self.lines[key] = self.lines.get(key, 0) | bits

    def _add_arcs(
        self, file_id: int, context_id: int, arcs: Iterable[Arc], *, as_lines: bool
    ) -> None:
        listed = list(arcs)
        good = [arc for arc in listed if max(map(abs, arc)) <= LARGEST_LINE]
        self._too_large += len(listed) - len(good)
        key = self._key(file_id, context_id, len(listed))
        if key is None or not good:
            return
        bits = bits_of({line for arc in good for line in arc if line > 0})
        if bits:
            self.executed[key[0]] = self.executed.get(key[0], 0) | bits
        if as_lines:
            self.lines[key] = self.lines.get(key, 0) | bits
        else:
            self.arcs.setdefault(key, set()).update(good)


class _Events:
    """The events of one image, sorted by what they are good for."""

    def __init__(self, segments: Iterable[Journal]) -> None:
        self.reaped: list[Reaped] = []
        self.spawned: list[Spawned] = []
        self._ended: Ended | None = None
        self._about_to_exec: AboutToExec | None = None
        self._exec_failed: ExecFailed | None = None
        self._libraries: set[tuple[str, str]] = set()
        self._tracers: set[str] = set()
        self._notes: set[tuple[int, str]] = set()
        for journal in segments:
            for event in journal.events:
                self._add(event)

    def _add(self, event: Event) -> None:
        match event:
            case AboutToExec():
                self._about_to_exec = _last(self._about_to_exec, event)
            case ExecFailed():
                self._exec_failed = _last(self._exec_failed, event)
            case Spawned():
                self.spawned.append(event)
            case Reaped():
                self.reaped.append(event)
            case Ended():
                self._ended = _last(self._ended, event)
            case LibraryUsed(name=name, version=version):
                self._libraries.add((name, version))
            case UserTracer(text=text):
                self._tracers.add(text)
            case Note(at_ns=at_ns, text=text):
                self._notes.add((at_ns, text))
            case _:
                assert_never(event)

    def image(self, identity: Identity) -> Image:
        return Image(
            identity=identity,
            ended=self._ended,
            about_to_exec=self._about_to_exec,
            exec_failed=self._exec_failed,
            libraries=frozenset(self._libraries),
            tracers=frozenset(self._tracers),
            notes=frozenset(self._notes),
        )


def _utf8(label: str) -> str:
    """A label as coverage.py's file can hold it."""
    return label.encode("utf-8", "backslashreplace").decode("utf-8")


def _lost_in(segments: Iterable[Journal]) -> Lost:
    headers = [journal.header for journal in segments]
    first = next((each for each in headers if each.lost_errno or each.lost_stage), headers[0])
    return Lost(
        facts=sum(each.lost_facts for each in headers),
        events=sum(each.lost_events for each in headers),
        errno=first.lost_errno,
        stage=first.lost_stage,
    )


def _unite_owners(mine: dict[Owner, Bits], shared: Bits, theirs: Mapping[Owner, Bits]) -> Bits:
    """Bring `theirs` into `mine`: a line belongs to the earliest image that executed it.

    Gives the lines known to belong to more than one. A line's state is (earliest owner, more than
    one?), which is all that is left of the set of its owners, and grows with the lines instead of
    with the processes.
    """
    for owner, bits in theirs.items():
        left = bits
        for other in list(mine):
            common = 0 if other == owner else mine[other] & left
            if not common:
                continue
            shared |= common
            if owner < other:
                mine[other] &= ~common
                if not mine[other]:
                    del mine[other]
            else:
                left &= ~common
        if left:
            mine[owner] = mine.get(owner, 0) | left
    return shared


def _last(one: SomeEvent | None, other: SomeEvent | None) -> SomeEvent | None:
    if one is None or other is None:
        return other if one is None else one
    return max(one, other, key=lambda event: (event.at_ns, repr(event)))


def _agreed(one: Something, other: Something) -> Something:
    """Either, as they should be equal; where a damaged journal says otherwise, always the same."""
    return one if one == other else min(one, other, key=repr)


def _agreed_reason(one: tuple[int, int], other: tuple[int, int]) -> tuple[int, int]:
    """The first reason of a loss does not change; (0, 0) is none yet."""
    return max(one, other) if (0, 0) in (one, other) else min(one, other)
