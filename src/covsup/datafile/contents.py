"""What a journal and a session directory say, as a result that can be folded."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING, assert_never

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
from covsup.datafile.result import (
    LARGEST_LINE,
    Arc,
    Bits,
    Identity,
    Image,
    Key,
    Kind,
    Lost,
    Problem,
    Reap,
    Result,
    Spawn,
    bits_of,
    last,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from covsup.datafile.journal import Event, Journal
    from covsup.datafile.session import Observation, SessionNote, Settings


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
                self._add_lines(file_id, context_id, lines)
            for (file_id, context_id), arcs in journal.arcs.items():
                self._add_arcs(file_id, context_id, arcs, as_lines=not branch)
        # A file without facts is one of which code ran that has no line: an empty module.
        told = {path for path, _ in (*self.lines, *self.arcs)}
        for path in set(self._paths.values()) - told:
            self.lines[path, self._contexts[0]] = 0
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

    def _add_lines(self, file_id: int, context_id: int, lines: Iterable[int]) -> None:
        good = set(lines)
        key = self._key(file_id, context_id, len(good))
        if key is None or not good:
            return
        if min(good) <= 0 or max(good) > LARGEST_LINE:
            self._too_large += sum(line > LARGEST_LINE for line in good)
            good = {line for line in good if 0 < line <= LARGEST_LINE}
        bits = bits_of(good)
        self.executed[key[0]] = self.executed.get(key[0], 0) | bits
        self.lines[key] = self.lines.get(key, 0) | bits

    def _add_arcs(
        self, file_id: int, context_id: int, arcs: Iterable[Arc], *, as_lines: bool
    ) -> None:
        good = set(arcs)
        key = self._key(file_id, context_id, len(good))
        if key is None or not good:
            return
        ends = set(chain.from_iterable(good))
        if max(ends) > LARGEST_LINE or min(ends) < -LARGEST_LINE:
            count = len(good)
            good = {arc for arc in good if max(map(abs, arc)) <= LARGEST_LINE}
            self._too_large += count - len(good)
            ends = set(chain.from_iterable(good))
        bits = bits_of([line for line in ends if line > 0])
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
                self._about_to_exec = last(self._about_to_exec, event)
            case ExecFailed():
                self._exec_failed = last(self._exec_failed, event)
            case Spawned():
                self.spawned.append(event)
            case Reaped():
                self.reaped.append(event)
            case Ended():
                self._ended = last(self._ended, event)
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
