"""Make results of journals and of session directories."""

from __future__ import annotations

from types import MappingProxyType

from covsup.datafile._fold import FactUnion
from covsup.datafile.fold.fold import MIXED_MESSAGE, MixedMeasurement
from covsup.datafile.fold.result import (
    ChildExit,
    FailedSpawn,
    Identity,
    Image,
    Kind,
    Lost,
    Problem,
    Result,
    Spawn,
    Version,
    later_event,
)
from covsup.datafile.journal.events import (
    AboutToExec,
    Ended,
    ExecFailed,
    LibraryUsed,
    Note,
    Reaped,
    Spawned,
    Unexecuted,
    UserTracer,
)
from covsup.datafile.journal.reader import split_module
from covsup.hints import TYPE_CHECKING, assert_never

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Final

    from covsup.datafile.journal.events import Event
    from covsup.datafile.journal.reader import Journal
    from covsup.datafile.session.marks import Mark, MarkedFacts
    from covsup.datafile.session.notes import SessionNote
    from covsup.datafile.session.observations import Observation
    from covsup.datafile.session.settings import Settings


UNSTORABLE_MESSAGE: Final = (
    "the data file cannot hold a file name that is not UTF-8, so it is left out: "
)


def unstorable_message(path: str) -> str:
    """The message for a file that the data file cannot hold, in one line."""
    shown = path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return UNSTORABLE_MESSAGE + shown.replace("\n", "\\n")


def image_result(
    journals: Sequence[Journal], *, session: str = "", static_context: str = ""
) -> Result:
    """The result of one image. `journals` are its segments, at least one, in any order.

    `static_context` is the label of context 0, which is in the session's settings and not in the
    journal. Raises MixedMeasurement.
    """
    image_fold = ImageFold()
    image_fold.add(journals, session=session, static_context=static_context)
    return image_fold.result()


class ImageFold:
    """The union of images that are added one by one, from their journals.

    It equals the fold of their results, but is faster: what they executed is united in C.
    """

    def __init__(self) -> None:
        """Begin with an empty union."""
        self._facts = FactUnion()
        self._kind: Kind | None = None
        self._images: dict[str, Image] = {}
        self._child_exits: set[ChildExit] = set()
        self._spawns: set[Spawn] = set()
        self._failed_spawns: set[FailedSpawn] = set()
        self._problems: set[Problem] = set()
        self._plugins: dict[str, frozenset[str]] = {}

    def add(
        self,
        journals: Sequence[Journal],
        *,
        session: str = "",
        static_context: str = "",
        running_ns: int = 0,
        gone_ns: int = 0,
    ) -> list[Problem]:
        """Add an image, and give what was wrong with its journals. See `image_result`.

        It is faster to add the oldest image first. `running_ns` and `gone_ns` are when the image was
        seen running, and seen not to run any more; 0 = never. Raises MixedMeasurement; the union is
        then unchanged.
        """
        segments = journals
        if len(segments) > 1:
            segments = sorted(journals, key=lambda journal: journal.header.segment)
        header = segments[0].header
        kind = Kind.ARCS if header.branch else Kind.LINES
        if self._kind not in {None, kind} and any(each.facts.files() for each in segments):
            raise MixedMeasurement(MIXED_MESSAGE)
        lines, files, undefined, out_of_range, unusable, unnamed = self._facts.add(
            tuple(journal.facts for journal in segments),
            header.start_realtime_ns,
            header.image_id,
            storable_label(static_context),
            header.branch,
        )
        if files:
            self._kind = kind
        events = Events(header.image_id, segments)
        image = image_of(segments, events, session, lines=lines)._replace(
            running_ns=running_ns, gone_ns=gone_ns
        )
        known = self._images.get(header.image_id)
        self._images[header.image_id] = image if known is None else known.union(image)
        self._child_exits |= events.child_exits
        self._spawns |= events.spawns
        self._failed_spawns |= events.failed_spawns
        for journal in segments:
            for path, plugin in journal.claims:
                known_plugins = self._plugins.get(path, frozenset())
                self._plugins[path] = known_plugins | {plugin}
        messages = [(problem, True) for journal in segments for problem in journal.problems]
        messages += [(unstorable_message(path), False) for path in unusable]
        messages += [(f"context {context_id} has no name: its facts are kept without a context", False)
                  for context_id in unnamed]  # fmt: skip
        if undefined:
            messages.append(
                (f"{undefined} facts are left out: the journal does not name their files", True)
            )
        if out_of_range:
            messages.append((f"{out_of_range} facts have impossible line numbers", False))
        problems = [
            Problem(
                session=session,
                journal=f"{header.pid}-{header.image_id}",
                what=message,
                unused=unused,
            )
            for message, unused in messages
        ]
        self._problems.update(problems)
        return problems

    @property
    def images(self) -> int:
        """The number of images."""
        return len(self._images)

    @property
    def kind(self) -> Kind | None:
        """What the images measured; None where they executed nothing."""
        return self._kind

    def result(self) -> Result:
        """The union so far. Later additions do not change the value."""
        lines, arcs, module_texts, first, shared = self._facts.result()
        modules: dict[str, frozenset[str]] = {}
        versions: dict[str, frozenset[Version]] = {}
        for path, texts in module_texts.items():
            pairs = [split_module(text) for text in texts]
            if names := frozenset(name for name, _ in pairs if name):
                modules[path] = names
            if stamps := frozenset(Version(stamp) for _, stamp in pairs if stamp):
                versions[path] = stamps
        return Result(
            kind=self._kind,
            lines=lines,
            arcs=arcs,
            modules=modules,
            versions=versions,
            plugins=dict(self._plugins),
            first=first,
            shared=shared,
            images=dict(self._images),
            child_exits=frozenset(self._child_exits),
            spawns=frozenset(self._spawns),
            failed_spawns=frozenset(self._failed_spawns),
            problems=frozenset(self._problems),
        )


def session_result(
    settings: Settings,
    notes: Iterable[SessionNote] = (),
    observations: Iterable[Observation] = (),
    marks: Mapping[Mark, MarkedFacts] = MappingProxyType({}),
) -> Result:
    """The result of what is in a session directory besides its journals."""
    session = settings.session
    return Result(
        sessions={session: settings},
        notes=frozenset((session, note) for note in notes),
        observations=frozenset((session, observation) for observation in observations),
        marks=marks,
    )


def image_of(segments: Sequence[Journal], events: Events, session: str, *, lines: int) -> Image:
    """An image, by its journals, by the events in them, and by how many lines it executed."""
    header = segments[0].header
    return Image(
        identity=Identity(
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
        ),
        properties=frozenset(
            [
                (key, value.decode("utf-8", "surrogateescape"))
                for journal in segments
                for key, value in journal.properties.items()
            ]
        ),
        ended=events.ended,
        about_to_exec=events.about_to_exec,
        exec_failed=events.exec_failed,
        libraries=events.libraries,
        tracers=events.tracers,
        notes=events.notes,
        lines=lines,
        threads=max([each.header.threads_started for each in segments]),
        lost=_lost_in(segments),
        forks_lost=_lost_by_forks(segments),
    )


class Events:
    """The events of one image, in the fields of an image and a result that they belong to."""

    child_exits: frozenset[ChildExit] = frozenset()
    spawns: frozenset[Spawn] = frozenset()
    failed_spawns: frozenset[FailedSpawn] = frozenset()
    ended: Ended | None = None
    about_to_exec: AboutToExec | None = None
    exec_failed: ExecFailed | None = None
    libraries: frozenset[tuple[str, str]] = frozenset()
    tracers: frozenset[str] = frozenset()
    notes: frozenset[tuple[int, str]] = frozenset()

    def __init__(self, image_id: str, segments: Iterable[Journal]) -> None:
        """The events in the journals of the image with this id."""
        events = [event for journal in segments for event in journal.events]
        if len(events) == 1 and isinstance(events[0], Ended):
            self.ended = events[0]
        elif events:
            self._add(image_id, events)

    def _add(self, by: str, events: Iterable[Event]) -> None:
        child_exits: list[ChildExit] = []
        spawns: list[Spawn] = []
        failed_spawns: list[FailedSpawn] = []
        libraries: list[tuple[str, str]] = []
        tracers: list[str] = []
        notes: list[tuple[int, str]] = []
        for event in events:
            match event:
                case AboutToExec():
                    self.about_to_exec = later_event(self.about_to_exec, event)
                case ExecFailed():
                    self.exec_failed = later_event(self.exec_failed, event)
                case Spawned(at_ns=at_ns, pid=pid, argv=argv):
                    spawns.append(Spawn(by=by, at_ns=at_ns, pid=pid, argv=tuple(argv)))
                case Unexecuted(at_ns=at_ns, pid=pid):
                    failed_spawns.append(FailedSpawn(by=by, at_ns=at_ns, pid=pid))
                case Reaped(at_ns=at_ns, pid=pid, status=status):
                    child_exits.append(ChildExit(by=by, at_ns=at_ns, pid=pid, status=status))
                case Ended():
                    self.ended = later_event(self.ended, event)
                case LibraryUsed(name=name, version=version):
                    libraries.append((name, version))
                case UserTracer(text=text):
                    tracers.append(text)
                case Note(at_ns=at_ns, text=text):
                    notes.append((at_ns, text))
                case _:
                    assert_never(event)
        self.child_exits, self.spawns = frozenset(child_exits), frozenset(spawns)
        self.failed_spawns = frozenset(failed_spawns)
        self.libraries, self.tracers = frozenset(libraries), frozenset(tracers)
        self.notes = frozenset(notes)


def storable_label(label: str) -> str:
    """A label as the data file can hold it: escapes instead of surrogates."""
    return label.encode("utf-8", "backslashreplace").decode("utf-8")


def _lost_in(journals: Sequence[Journal]) -> Lost:
    headers = [
        header
        for journal in journals
        if (header := journal.header).lost_facts or header.lost_events or header.lost_stage
    ]
    if not headers:
        return _NOTHING_LOST
    first = next((each for each in headers if each.lost_errno or each.lost_stage), headers[0])
    return Lost(
        facts=sum(each.lost_facts for each in headers),
        events=sum(each.lost_events for each in headers),
        errno=first.lost_errno,
        stage=first.lost_stage,
    )


def _lost_by_forks(journals: Sequence[Journal]) -> Lost:
    headers = [
        header
        for journal in journals
        if (header := journal.header).forks_lost_facts or header.forks_lost_events
    ]
    if not headers:
        return _NOTHING_LOST
    first = next((each for each in headers if each.forks_lost_stage), headers[0])
    return Lost(
        facts=sum(each.forks_lost_facts for each in headers),
        events=sum(each.forks_lost_events for each in headers),
        errno=first.forks_lost_errno,
        stage=first.forks_lost_stage,
    )


_NOTHING_LOST: Final = Lost()
