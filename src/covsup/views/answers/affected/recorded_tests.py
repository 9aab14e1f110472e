"""The tests that a result knows, and what each of them ran."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from covsup.hints import NamedTuple
from covsup.views.answers.affected.test_labels import (
    NamedTest,
    RecordedPhase,
    find_function,
    find_test,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from covsup.datafile.fold.result import Result, Version
    from covsup.datafile.fold.sets import LineSet
    from covsup.views.model.view import View

IS_PREPARATION = frozenset({"setup", "teardown", ""})
"""The phases in which the fixtures of a test run."""


class MeasuredFile(NamedTuple):
    """A measured file of the project."""

    lines: dict[str, LineSet]  # by label
    versions: frozenset[Version]
    has_plugin: bool  # a plugin of coverage.py measured it: a template


class Touching(NamedTuple):
    """Who ran some lines."""

    phases: frozenset[RecordedPhase]
    outside: bool  # whether they also ran outside of every test


class RecordedTests:
    """The tests of a result. The paths of tests and files are absolute, in this working tree."""

    def __init__(
        self, view: View, *, top: str, directory: str, is_there: Callable[[str], bool]
    ) -> None:
        """`top` is the working tree, `directory` the current one. `is_there` knows its files."""
        roots = _roots(view.result, top, directory)
        self.moved_from, places = _located(view.paths(), top, roots, is_there)
        self.files = _files(view, places)
        self._phases: dict[str, RecordedPhase] = {}
        self.unknown_functions: set[str] = set()
        self._read_labels(view, roots, is_there)
        self.tests = frozenset(each.test for each in self._phases.values())
        self.by_file: dict[str, set[NamedTest]] = defaultdict(set)
        for test in self.tests:
            self.by_file[test.path].add(test)
        self._by_place: dict[str, Touching] = {}

    def touching(self, path: str, lines: LineSet = -1) -> Touching:
        """The tests that ran some of these lines of a file, or any line of it."""
        phases, outside = set(), False
        file = self.files.get(path)
        for label, ran in file.lines.items() if file is not None else ():
            if ran & lines:
                if label in self._phases:
                    phases.add(self._phases[label])
                else:
                    outside = True
        return Touching(frozenset(phases), outside)

    def _read_labels(
        self, view: View, roots: Sequence[str], is_there: Callable[[str], bool]
    ) -> None:
        labels = {label for path in view.paths() for label in view.contexts_of(path)}
        found = {label: each for label in labels if (each := find_test(label)) is not None}
        root = _most_likely(roots, {each.test.path for each in found.values()}, is_there)
        for label, (test, name) in found.items():
            path = os.path.normpath(f"{root}/{test.path}")
            self._phases[label] = RecordedPhase(test._replace(path=path), name)
        for label in labels - found.keys():
            if (function := find_function(label)) is not None:
                self._read_function(label, function)

    def _read_function(self, label: str, function: str) -> None:
        """Find the file of a test that is known by the dotted name of its function."""
        words = function.split(".")
        for end in range(len(words) - 1, 0, -1):
            ending = "/" + "/".join(words[:end]) + ".py"
            paths = [path for path in self.files if path.endswith(ending)]
            own = [path for path in paths if label in self.files[path].lines]
            for path in own or paths:
                self._phases[label] = RecordedPhase(NamedTest(path, "::".join(words[end:])), "")
            if paths:
                return
        self.unknown_functions.add(function)


def _roots(result: Result, top: str, directory: str) -> list[str]:
    """Directories that node ids may be relative to."""
    roots = [directory]
    while roots[-1] != top and len(roots[-1]) > len(top):
        roots.append(os.path.dirname(roots[-1]))
    roots += [os.path.realpath(each.cwd) for each in result.sessions.values() if each.cwd]
    return list(dict.fromkeys((*roots, top)))


def _most_likely(
    roots: Iterable[str], names: Iterable[str], is_there: Callable[[str], bool]
) -> str:
    """The directory in which most of these files are."""
    names = list(names)
    counts = {root: sum(is_there(f"{root}/{name}") for name in names) for root in roots}
    return max(counts, key=lambda root: counts[root])


def _located(
    paths: Iterable[str], top: str, roots: Sequence[str], is_there: Callable[[str], bool]
) -> tuple[str, dict[str, str]]:
    """The place in this working tree of each measured file.

    Data of another machine has other paths. Then the directory that most of its files are below
    stands for this working tree; it is given first, and is "" otherwise.
    """
    located, foreign = {}, []
    for path in paths:
        if not os.path.isabs(path):
            real = os.path.normpath(f"{_most_likely(roots, [path], is_there)}/{path}")
        else:
            real = os.path.realpath(path)
        if real.startswith(f"{top}/"):
            located[path] = real
        else:
            foreign.append(path)
    if located or not foreign:
        return "", located
    votes: Counter[tuple[str, str]] = Counter()
    for path in foreign:
        words = path.split("/")
        for start in range(1, len(words)):
            name = "/".join(words[start:])
            root = next((each for each in roots if is_there(f"{each}/{name}")), None)
            if root is not None:
                votes["/".join(words[:start]), root] += 1
                break
    if not votes:
        return "", {}
    (there, here), _ = votes.most_common(1)[0]
    moved = {
        path: f"{here}{path.removeprefix(there)}"
        for path in foreign
        if path.startswith(f"{there}/")
    }
    return there, moved


def _files(view: View, places: Mapping[str, str]) -> dict[str, MeasuredFile]:
    files: dict[str, MeasuredFile] = {}
    result = view.result
    for path, place in places.items():
        file = files.get(place, MeasuredFile({}, frozenset(), has_plugin=False))
        for label, lines in view.contexts_of(path).items():
            file.lines[label] = file.lines.get(label, 0) | lines
        versions = file.versions | result.versions.get(path, frozenset())
        has_plugin = file.has_plugin or any(result.plugins.get(path, ()))
        files[place] = MeasuredFile(file.lines, versions, has_plugin)
    return files
