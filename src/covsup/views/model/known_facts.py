"""All facts that a view knows, united as they come, and which of them are new.

Must never know: journals, data files.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from covsup.datafile._fold import arc_lines
from covsup.datafile.fold.fold import MIXED_MESSAGE, MixedMeasurement
from covsup.datafile.fold.sets import unite_arcs
from covsup.datafile.journal.by_value_names import is_sent_code
from covsup.hints import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from covsup.datafile.fold.result import ImageKey, Kind, PathContext, Result, Version
    from covsup.datafile.fold.sets import ArcSet, LineSet


class NewFacts(NamedTuple):
    """What became known since the last look. See `covsup.views.model.view.Change`."""

    lines: Mapping[str, LineSet]
    by_image: Mapping[str, int]
    files: frozenset[str]
    contexts: frozenset[str]


class KnownFacts:
    """The facts of any number of images, by file and context, and by file alone.

    Lines include those that arcs begin or end at. A file of which code ran, but no line, has an empty
    set of lines in one context. Names of code that was sent by value are no files.
    """

    def __init__(self) -> None:
        """Begin without facts."""
        self.kind: Kind | None = None
        self.lines: dict[PathContext, LineSet] = {}
        self.arcs: dict[PathContext, ArcSet] = {}
        self.modules: dict[str, frozenset[str]] = {}
        self.plugins: dict[str, frozenset[str]] = {}
        self.versions: dict[str, frozenset[Version]] = {}
        self.first: dict[str, dict[ImageKey, LineSet]] = {}
        self.shared: dict[str, LineSet] = {}
        self.lines_of: dict[str, LineSet] = {}
        self.arcs_of: dict[str, ArcSet] = {}
        self.contexts_of: dict[str, dict[str, LineSet]] = {}
        self.first_counts: dict[str, int] = defaultdict(int)
        self.paths_with_new_shares: set[str] = set()
        """Files of which `first` or `shared` has changed. The reader of this set empties it."""
        self._owned: dict[str, LineSet] = {}
        """By path: the lines that are in `first`."""
        self.labels: set[str] = set()
        self._begin()

    def _begin(self) -> None:
        self._new_lines: dict[str, LineSet] = {}
        self._new_files: set[str] = set()
        self._new_labels: set[str] = set()
        self._claimed: set[tuple[str, ImageKey]] = set()

    def add(self, result: Result) -> None:
        """Add the facts of a result. Raises MixedMeasurement; nothing was added then."""
        self.agree_on(result.kind)
        if not (self.lines or self.arcs):
            self._begin_with(result)
        else:
            self._add_lines_and_arcs(result)
        for path, modules in result.modules.items():
            self.modules[path] = self.modules.get(path, frozenset()) | modules
        for path, plugins in result.plugins.items():
            self.plugins[path] = self.plugins.get(path, frozenset()) | plugins
        for path, versions in result.versions.items():
            self.versions[path] = self.versions.get(path, frozenset()) | versions
        if not self.first:
            self._begin_with_first(result)
            return
        for path, bits in result.shared.items():
            self.shared[path] = self.shared.get(path, 0) | bits
        self.paths_with_new_shares.update(result.shared)
        for path, by_image in result.first.items():
            for image, bits in by_image.items():
                self.add_first(path, image, bits)

    def _add_lines_and_arcs(self, result: Result) -> None:
        for (path, label), bits in result.lines.items():
            if bits:
                self.add_lines(path, label, bits)
        for (path, label), arcs in result.arcs.items():
            self.add_arcs(path, label, arcs)
        for (path, label), bits in result.lines.items():
            if not bits:
                self.add_file(path, label)

    def _begin_with(self, result: Result) -> None:
        """Add the lines and arcs of the first result. It may be large, so nothing is looked up twice."""
        lines, contexts_of, lines_of = self.lines, self.contexts_of, self.lines_of
        arcs, arcs_of = self.arcs, self.arcs_of
        lines.update(result.lines)
        arcs.update(result.arcs)
        for key, of_key in arcs.items():
            lines[key] = lines.get(key, 0) | arc_lines(of_key)
        sent = {path for path, _ in lines if is_sent_code(path)}
        empty: list[PathContext] = []
        for key, bits in lines.items():
            path, label = key
            if path in sent:
                continue
            if not bits:
                empty.append(key)
            elif path in contexts_of:
                contexts_of[path][label] = bits
                lines_of[path] |= bits
            else:
                contexts_of[path] = {label: bits}
                lines_of[path] = bits
        self._new_lines = dict(lines_of)
        for key in empty:
            path, label = key
            if path in contexts_of:
                del lines[key]
            else:
                contexts_of[path] = {label: 0}
                lines_of[path] = 0
        many: dict[str, list[ArcSet]] = {}
        for (path, _), of_key in arcs.items():
            if path not in sent:
                many.setdefault(path, []).append(of_key)
        for path, sets in many.items():
            arcs_of[path] = sets[0] if len(sets) == 1 else unite_arcs(b"".join(sets), b"")
        self._new_files.update(lines_of)
        self._new_files.update(arcs_of)
        self.labels = {label for _, label in lines}
        self._new_labels = set(self.labels)

    def _begin_with_first(self, result: Result) -> None:
        """Take over who executed each line first, while nothing of it is known."""
        self.shared.update(result.shared)
        self.paths_with_new_shares.update(result.first)
        counts = self.first_counts
        for path, by_image in result.first.items():
            owned = 0
            self.first[path] = of_path = dict(by_image)
            for image, bits in of_path.items():
                owned |= bits
                counts[image[1]] += bits.bit_count()
                self._claimed.add((path, image))
            self._owned[path] = owned

    def agree_on(self, kind: Kind | None) -> None:
        """Set what is measured. Raises MixedMeasurement where it is something else already."""
        if kind is None or kind is self.kind:
            return
        if self.kind is not None:
            raise MixedMeasurement(MIXED_MESSAGE)
        self.kind = kind

    def add_file(self, path: str, label: str) -> None:
        """Add a file of which code ran, though no line. `label` is that of the static context."""
        if path in self.lines_of or (is_sent_code(path) and (path, label) in self.lines):
            return
        self.lines[path, label] = 0
        self._note(path, label, 0, 0)

    def add_lines(self, path: str, label: str, bits: LineSet) -> None:
        """Add lines, at least one, that ran in a context."""
        key = path, label
        known = self.lines.get(key, 0)
        if bits & ~known:
            self.lines[key] = united = known | bits
            self._note(path, label, known, united)

    def add_arcs(self, path: str, label: str, arcs: ArcSet) -> None:
        """Add arcs, at least one, with the lines at their ends."""
        key = path, label
        known = self.arcs.get(key)
        united = arcs if known is None else unite_arcs(known, arcs)
        if known == united:
            return
        self.arcs[key] = united
        if lines := arc_lines(arcs):
            self.add_lines(path, label, lines)
        else:
            self.add_file(path, label)
        if is_sent_code(path):
            return
        of_path = self.arcs_of.get(path)
        self.arcs_of[path] = united if of_path is None else unite_arcs(of_path, arcs)
        self._new_files.add(path)

    def _note(self, path: str, label: str, known: LineSet, united: LineSet) -> None:
        """Keep the unions by file up to date, when the lines of a file and a context changed."""
        if label not in self.labels:
            self.labels.add(label)
            self._new_labels.add(label)
        if is_sent_code(path):
            return
        contexts = self.contexts_of.get(path)
        if contexts is None:
            self.contexts_of[path] = contexts = {}
            self.lines_of[path] = 0
        elif not known and len(contexts) == 1:
            self._drop_empty(path, contexts)
        contexts[label] = united
        self._new_files.add(path)
        of_path = self.lines_of[path]
        if new := united & ~of_path:
            self.lines_of[path] = of_path | new
            self._new_lines[path] = self._new_lines.get(path, 0) | new

    def _drop_empty(self, path: str, contexts: dict[str, LineSet]) -> None:
        """Forget the context of a file without lines: now it has some in another context."""
        (label, bits) = next(iter(contexts.items()))
        if not bits:
            del contexts[label]
            if not self.lines.get((path, label)):
                self.lines.pop((path, label), None)

    def add_first(self, path: str, image: ImageKey, bits: LineSet) -> None:
        """Add lines that an image executed: each belongs to the earliest image of all."""
        of_path = self.first.get(path)
        if of_path is None:
            self.first[path] = of_path = {}
        owned = self._owned.get(path, 0)
        left = bits
        if common := bits & owned & ~of_path.get(image, 0):
            shared = self.shared.get(path, 0)
            if common & ~shared:
                self.shared[path] = shared | common
                self.paths_with_new_shares.add(path)
            left &= ~self._divide(of_path, image, common)
        if new := left & ~of_path.get(image, 0):
            of_path[image] = of_path.get(image, 0) | new
            self._owned[path] = owned | new
            self.first_counts[image[1]] += new.bit_count()
            self._claimed.add((path, image))
            self.paths_with_new_shares.add(path)

    def _divide(
        self, of_path: dict[ImageKey, LineSet], image: ImageKey, common: LineSet
    ) -> LineSet:
        """Take the lines in `common` from images that are later than `image`.

        Gives the others, which belong to earlier images.
        """
        of_earlier = 0
        for other in list(of_path):
            both = of_path[other] & common
            if not both or other == image:
                continue
            if other < image:
                of_earlier |= both
                continue
            self.first_counts[other[1]] -= both.bit_count()
            of_path[other] &= ~both
            if not of_path[other]:
                del of_path[other]
        return of_earlier

    def take_new(self) -> NewFacts:
        """What is new since the last call."""
        by_image: dict[str, int] = defaultdict(int)
        for path, image in self._claimed:
            bits = self.first[path].get(image, 0) & self._new_lines.get(path, 0)
            if count := bits.bit_count():
                by_image[image[1]] += count
        new = NewFacts(
            lines=self._new_lines,
            by_image=dict(by_image),
            files=frozenset(self._new_files),
            contexts=frozenset(self._new_labels),
        )
        self._begin()
        return new

    def result_with(self, rest: Result) -> Result:
        """`rest` with these facts: the maps themselves, which later additions change."""
        return rest._replace(
            kind=self.kind,
            lines=self.lines,
            arcs=self.arcs,
            modules=self.modules,
            plugins=self.plugins,
            versions=self.versions,
            first=self.first,
            shared=self.shared,
        )
