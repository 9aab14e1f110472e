"""Unite results.

`fold` is commutative, associative and idempotent, and its result is a valid input of another fold. So
journals may be folded in any order, in parts, again, and while their processes still write. This
holds because every field of a `Result` is a set, a maximum or a minimum.
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
    from covsup.datafile.session.marks import Mark, MarkedFacts
    from covsup.datafile.session.notes import SessionNote
    from covsup.datafile.session.observations import Observation
    from covsup.datafile.session.settings import Settings


class MixedMeasurement(CovsupError):
    """Line data and branch data cannot be in one result. Fold them separately."""


MIXED_MESSAGE: Final = (
    "line data meets branch data: one data file holds either; combine them one kind at a time, each"
    " with a --data-file of its own"
)


class ResultFold:
    """The union of results that are added one by one. It holds no more than that."""

    def __init__(self) -> None:
        """Begin with an empty result."""
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
        self._marks: dict[Mark, MarkedFacts] = {}

    def add(self, result: Result) -> Self:
        """Add a result. Raises MixedMeasurement; the union is then unchanged."""
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
        self._failed_spawns |= result.failed_spawns
        self._observations |= result.observations
        self._notes |= result.notes
        self._problems |= result.problems
        return self

    def add_facts(self, result: Result, new_path: Mapping[str, str] | None) -> None:
        """Add what was executed. `new_path` maps every path to a new one; None: paths stay."""
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
        for path, by_image in result.first.items():
            to = new_path[path]
            self._shared[to] = _unite_first(
                self._first.setdefault(to, {}),
                self._shared.get(to, 0) | result.shared.get(path, 0),
                by_image,
            )
        if result.marks:
            self._add_marks(result.marks, new_path)

    def _add_marks(self, marks: Mapping[Mark, MarkedFacts], new_path: Mapping[str, str]) -> None:
        from covsup.datafile.fold.marked_facts import united_facts  # few results have marks

        for mark, facts in marks.items():
            moved = united_facts([facts], new_path)
            known = self._marks.get(mark)
            self._marks[mark] = moved if known is None else united_facts([known, moved])

    def result(self) -> Result:
        """The union so far. Later additions do not change the value."""
        return Result(
            kind=self._kind,
            lines=dict(self._lines),
            arcs=dict(self._arcs),
            modules=dict(self._modules),
            plugins=dict(self._plugins),
            versions=dict(self._versions),
            first={path: dict(by_image) for path, by_image in self._first.items()},
            shared={path: bits for path, bits in self._shared.items() if bits},
            images=dict(self._images),
            child_exits=frozenset(self._child_exits),
            spawns=frozenset(self._spawns),
            failed_spawns=frozenset(self._failed_spawns),
            sessions=dict(self._sessions),
            observations=frozenset(self._observations),
            notes=frozenset(self._notes),
            problems=frozenset(self._problems),
            marks=dict(self._marks),
        )

    def _agree_on(self, kind: Kind | None) -> None:
        if kind is None or kind is self._kind:
            return
        if self._kind is not None:
            raise MixedMeasurement(MIXED_MESSAGE)
        self._kind = kind


def fold(results: Iterable[Result]) -> Result:
    """The union of results. Raises MixedMeasurement for lines and branches together."""
    union = ResultFold()
    for result in results:
        union.add(result)
    return union.result()


def remapped(result: Result, map_path: Callable[[str], str]) -> Result:
    """The result with every path replaced. Paths that become equal are united."""
    union = ResultFold()
    union.add(
        result._replace(
            lines={}, arcs={}, modules={}, plugins={}, versions={}, first={}, shared={}, marks={}
        )
    )
    union.add_facts(result, {path: map_path(path) for path in result.paths()})
    return union.result()


def without_paths(result: Result, paths: Collection[str]) -> Result:
    """The result without what was executed in these files."""
    return result._replace(
        lines={key: bits for key, bits in result.lines.items() if key[0] not in paths},
        arcs={key: arcs for key, arcs in result.arcs.items() if key[0] not in paths},
        modules={path: names for path, names in result.modules.items() if path not in paths},
        plugins={path: names for path, names in result.plugins.items() if path not in paths},
        first={path: by_image for path, by_image in result.first.items() if path not in paths},
        shared={path: bits for path, bits in result.shared.items() if path not in paths},
        marks={mark: facts.without_paths(paths) for mark, facts in result.marks.items()},
    )


def _unite_first(
    mine: dict[ImageKey, LineSet], shared: LineSet, theirs: Mapping[ImageKey, LineSet]
) -> LineSet:
    """Add `theirs` to `mine`: a line belongs to the earliest image that executed it.

    Gives the lines that several images executed, with those in `shared`. Only the earliest image and
    this bit are kept of the set of a line's images, so the size depends on the lines and not on the
    number of processes.
    """
    for image, bits in theirs.items():
        left = bits
        for other in list(mine):
            common = 0 if other == image else mine[other] & left
            if not common:
                continue
            shared |= common
            if image < other:
                mine[other] &= ~common
                if not mine[other]:
                    del mine[other]
            else:
                left &= ~common
        if left:
            mine[image] = mine.get(image, 0) | left
    return shared
