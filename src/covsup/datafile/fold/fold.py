"""The fold: the union of what any number of process images did, into one result.

`fold` is commutative, associative and idempotent, and its result is a valid input of another
fold, so that journals may be folded in any order, in parts, again, and while their owners still
write. That holds because every field of a `Result` is a set, a maximum or a minimum; what needs
an opinion (who is whose parent, how a process ended) is left to `covsup.datafile.provenance.model`,
which derives it from a result.

Pure: it gets the contents of journals and gives a value. It must never know a clock, a process
table, a terminal, a file.
"""

from __future__ import annotations

from covsup.datafile.errors import CovsupError
from covsup.datafile.fold.result import Result, consistent_choice
from covsup.datafile.fold.sets import unite_arcs
from covsup.hints import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping
    from typing import Final, Self

    from covsup.datafile.fold.result import (
        ChildExit,
        FailedSpawn,
        Image,
        ImageKey,
        Kind,
        PathContext,
        Problem,
        Spawn,
        Version,
    )
    from covsup.datafile.fold.sets import ArcSet, LineSet
    from covsup.datafile.session.notes import SessionNote
    from covsup.datafile.session.observations import Observation
    from covsup.datafile.session.settings import Settings


class MixedMeasurement(CovsupError):
    """Line data met branch data: one result holds either. Fold them one kind at a time."""


MIXED_MESSAGE: Final = (
    "line data meets branch data: one data file holds either; combine them one kind at a time, each"
    " with a --data-file of its own"
)


class ResultFold:
    """A fold under way: takes results one by one and holds no more than their union."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._kind: Kind | None = None
        self._lines: dict[PathContext, LineSet] = {}
        self._arcs: dict[PathContext, ArcSet] = {}
        self._modules: dict[str, frozenset[str]] = {}
        self._plugins: dict[str, frozenset[str]] = {}
        self._versions: dict[str, frozenset[Version]] = {}
        self._first: dict[str, dict[ImageKey, LineSet]] = {}
        self._shared: dict[str, LineSet] = {}
        self._images: dict[str, Image] = {}
        self._sessions: dict[str, Settings] = {}
        self._child_exits: set[ChildExit] = set()
        self._spawns: set[Spawn] = set()
        self._failed_spawns: set[FailedSpawn] = set()
        self._observations: set[tuple[str, Observation]] = set()
        self._notes: set[tuple[str, SessionNote]] = set()
        self._problems: set[Problem] = set()

    def add(self, result: Result) -> Self:
        """Take in one more result. Raises MixedMeasurement, and is then unchanged."""
        self.add_facts(result, None)
        if self._images:
            for image_id, image in result.images.items():
                known = self._images.get(image_id)
                self._images[image_id] = image if known is None else known.union(image)
        else:
            self._images = dict(result.images)
        for session, settings in result.sessions.items():
            known_settings = self._sessions.get(session, settings)
            self._sessions[session] = consistent_choice(known_settings, settings)
        self._child_exits |= result.child_exits
        self._spawns |= result.spawns
        self._failed_spawns |= result.stillborn
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
            key = (new_path[path], context)
            mine = self._arcs.get(key)
            self._arcs[key] = arcs if mine is None or mine == arcs else unite_arcs(mine, arcs)
        for path, names in result.modules.items():
            to = new_path[path]
            self._modules[to] = self._modules.get(to, frozenset()) | names
        for path, names in result.plugins.items():
            to = new_path[path]
            self._plugins[to] = self._plugins.get(to, frozenset()) | names
        for path, versions in result.versions.items():
            to = new_path[path]
            self._versions[to] = self._versions.get(to, frozenset()) | versions
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
            arcs=dict(self._arcs),
            modules=dict(self._modules),
            plugins=dict(self._plugins),
            versions=dict(self._versions),
            first={path: dict(owners) for path, owners in self._first.items()},
            shared={path: bits for path, bits in self._shared.items() if bits},
            images=dict(self._images),
            child_exits=frozenset(self._child_exits),
            spawns=frozenset(self._spawns),
            stillborn=frozenset(self._failed_spawns),
            sessions=dict(self._sessions),
            observations=frozenset(self._observations),
            notes=frozenset(self._notes),
            problems=frozenset(self._problems),
        )

    def _agree_on(self, kind: Kind | None) -> None:
        if kind is None or kind is self._kind:
            return
        if self._kind is not None:
            raise MixedMeasurement(MIXED_MESSAGE)
        self._kind = kind


def fold(results: Iterable[Result]) -> Result:
    """The union of results. Raises MixedMeasurement where lines meet branches."""
    folding = ResultFold()
    for result in results:
        folding.add(result)
    return folding.result()


def remapped(result: Result, map_path: Callable[[str], str]) -> Result:
    """The same with every path replaced; paths that become one are united."""
    folding = ResultFold()
    folding.add(
        result._replace(lines={}, arcs={}, modules={}, plugins={}, versions={}, first={}, shared={})
    )
    folding.add_facts(result, {path: map_path(path) for path in result.paths()})
    return folding.result()


def without_paths(result: Result, paths: Collection[str]) -> Result:
    """The same without what was executed in these files."""
    return result._replace(
        lines={key: bits for key, bits in result.lines.items() if key[0] not in paths},
        arcs={key: arcs for key, arcs in result.arcs.items() if key[0] not in paths},
        modules={path: names for path, names in result.modules.items() if path not in paths},
        plugins={path: names for path, names in result.plugins.items() if path not in paths},
        first={path: owners for path, owners in result.first.items() if path not in paths},
        shared={path: bits for path, bits in result.shared.items() if path not in paths},
    )


def seen(result: Result, *, running: Iterable[str], gone: Iterable[str], at_ns: int) -> Result:
    """The result with what was seen of its images at `at_ns`: which ran and which no longer."""
    images = dict(result.images)
    for image_id in running:
        images[image_id] = images[image_id]._replace(running_ns=at_ns)
    for image_id in gone:
        images[image_id] = images[image_id]._replace(gone_ns=at_ns)
    return result._replace(images=images)


def _unite_owners(
    mine: dict[ImageKey, LineSet], shared: LineSet, theirs: Mapping[ImageKey, LineSet]
) -> LineSet:
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
