"""The tests that a change can affect."""

from __future__ import annotations

import builtins
import os
from collections import defaultdict
from typing import TYPE_CHECKING

from covsup.hints import NamedTuple
from covsup.views.answers.affected.project import is_conftest, is_own_output
from covsup.views.answers.affected.pytest_files import (
    SETTINGS_FILES,
    are_private_fixtures,
    is_searched,
    sharing,
)
from covsup.views.answers.affected.python_changes import (
    WHOLE,
    Definition,
    Difference,
    difference,
)
from covsup.views.answers.affected.recorded_tests import IS_PREPARATION
from covsup.views.answers.affected.test_labels import NamedTest

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Final

    from covsup.views.answers.affected.project import Project, Versions
    from covsup.views.answers.affected.recorded_tests import MeasuredFile, RecordedTests, Touching


_DIRECTION: Final = {"there": 1, "here": -1}
"""A function that is only in the other version has come if that one is newer."""


class Selection(NamedTuple):
    """The tests of a change. The paths of tests are absolute."""

    tests: dict[NamedTest, set[str]]  # with the reasons
    files: dict[str, set[str]]  # whole files of tests, with the reasons
    notes: dict[str, set[str]]  # by sentence: the files that it is about


class _Differences(NamedTuple):
    """How the measured versions of a file differ from those before and after the change."""

    all: tuple[Difference, ...]
    to_base: tuple[Difference, ...]  # `there` is older
    to_now: tuple[Difference, ...]  # `there` is newer


def select(project: Project, recorded: RecordedTests) -> Selection:
    """Pick the tests."""
    selector = _Selector(project, recorded)
    differing = set()
    for path, change in sorted(project.changes.items()):
        if not change.is_text:
            selector.note("what uses these links and submodules is not known", path)
        elif is_own_output(path, change) or project.is_same(path):
            continue
        elif not change.old and not is_searched(os.path.relpath(path, project.top)):
            selector.note("new, in a directory that pytest does not search", path)
        else:
            differing.add(path)
            selector.changed(path)
    for path, file in sorted(recorded.files.items()):
        if path not in differing and project.is_stale(path, file):
            selector.note("changed since the measurement, so their tests count as affected", path)
            selector.changed(path)
    selector.follow_imports()
    return Selection(selector.tests, selector.whole, selector.notes)


class _Selector:
    def __init__(self, project: Project, recorded: RecordedTests) -> None:
        self._project = project
        self._recorded = recorded
        self.tests: dict[NamedTest, set[str]] = defaultdict(set)
        self.whole: dict[str, set[str]] = defaultdict(set)
        self.notes: dict[str, set[str]] = defaultdict(set)
        self._at_import: set[str] = set()  # files whose importers are affected
        self._reached: set[str] = set()  # other Python files with a change

    def note(self, sentence: str, path: str) -> None:
        self.notes[sentence].add(self._project.shown(path))

    def changed(self, path: str) -> None:
        """Pick the tests of a file that differs."""
        project, file = self._project, self._recorded.files.get(path)
        versions = project.versions(path)
        reason = f"{project.shown(path)} changed"
        if os.path.basename(path) in SETTINGS_FILES:
            self.note("settings may be pytest's, so every test counts as affected", path)
            self._pick_files(self._recorded.by_file, reason)
        elif project.is_python(path, file):
            self._python(path, file, versions)
        elif path in self._recorded.by_file:
            self._pick_files([path], reason)
        elif file is not None:
            self._pick(self._recorded.touching(path), reason, path)
        else:
            self.note("which tests read these files is not known", path)

    def follow_imports(self) -> None:
        """Pick the tests that depend on what modules do when they are imported."""
        project, recorded = self._project, self._recorded
        affected: dict[str, set[str]] = defaultdict(set)
        for path in self._at_import:
            for each in project.imports.importers(path):
                affected[each].add(path)
        reasons = {
            path: {f"uses {project.shown(each)}, which changed at import" for each in causes}
            for path, causes in affected.items()
        }
        for path, found in reasons.items():
            for test, _ in recorded.touching(path).phases:
                self.tests[test] |= found
            if is_conftest(path):
                self._pick_below(path, found)
            elif path in recorded.by_file:
                self._pick_files([path], *found)
        reached = set(affected)
        for path in self._reached:
            reached |= project.imports.importers(path)
        for path in sorted(project.python_files):
            if path in recorded.by_file or path in self.whole or not project.is_test_file(path):
                continue
            if reached & {path, *project.conftests(path)} and project.now(path) is not None:
                self.note("no recorded test, but they import what changed: all their tests", path)
                self._pick_files([path], "it imports what changed, and has no recorded test")

    def _python(self, path: str, file: MeasuredFile | None, versions: Versions) -> None:
        differences = self._differences(path, file, versions)
        if not any(differences.all):
            return
        shown = self._project.shown(path)
        self._reached.add(path)
        is_test_file = self._project.is_test_file(path) or path in self._recorded.by_file
        at_import = any(each.at_import for each in differences.all)
        lines = 0
        for each in differences.all:
            lines |= each.lines
        definitions = [each for one in differences.all for each in one.definitions]
        if is_test_file:
            definitions = self._test_file(path, file, differences)
            at_import = at_import or bool(definitions)
        else:
            for definition in definitions:
                if self._is_free(definition, differences):
                    lines |= definition.lines
                else:
                    at_import = True
        if file is None and not is_test_file:
            at_import = True
        touching = self._recorded.touching(path, lines)
        names = {name for each in differences.all for name in each.functions}
        is_private = bool(names) and are_private_fixtures(versions.now or b"", names)
        self._pick(touching, f"ran changed lines of {shown}", path, is_private=is_private)
        if touching.outside:
            self.note("has changed lines that ran outside of tests: all its tests count", path)
            at_import = True
        if at_import:
            self._at_import.add(path)
            self._explain(path, file, versions, differences, is_test_file=is_test_file)
            if is_conftest(path):
                self._pick_below(path, {f"{shown} changed"})
            elif is_test_file:
                self._pick_files([path], f"{shown} changed")

    def _explain(
        self,
        path: str,
        file: MeasuredFile | None,
        versions: Versions,
        differences: _Differences,
        *,
        is_test_file: bool,
    ) -> None:
        if versions.now is None:
            self.note("deleted: the tests that ran them, and those of files that import them", path)
        elif is_conftest(path):
            self.note("every test below a changed conftest counts as affected", path)
        elif is_test_file:
            self.note("all tests of new files and of files that changed outside of tests", path)
        elif versions.before is None and file is None:
            self.note("new: the tests of files that import them", path)
        elif file is None:
            self.note("no data: the tests of files that import them", path)
        elif any(each.is_whole for each in differences.all):
            self.note("versions that cannot be compared: all tests that ran them", path)
        else:
            self.note("changed at import: all tests that ran them or files that import them", path)

    def _differences(
        self, path: str, file: MeasuredFile | None, versions: Versions
    ) -> _Differences:
        before, now = versions
        if file is None:
            return _both((difference(before, now),), (difference(now, before),))
        if not file.versions:
            if before != now:
                self.note(
                    "the data does not say which version it measured; it is taken for the one"
                    " before the change or the one after it",
                    path,
                )
            found: tuple[bytes, ...] = tuple({each for each in versions if each is not None})
        else:
            found, is_complete = self._project.measured(path, file, versions)
            if not is_complete:
                self.note("the measured version is not in the repository: all tests count", path)
                return _both((WHOLE,), ())
        to_base = tuple(difference(each, before) for each in found)
        to_now = tuple(difference(each, now) for each in found)
        return _both(to_now, to_base)

    def _is_free(self, definition: Definition, differences: _Differences) -> bool:
        """Whether a function that came or went concerns only the tests that ran it.

        No text has its name, so no unchanged code can find or miss it.
        """
        name = definition.name
        if not definition.is_plain or name.startswith("__") or hasattr(builtins, name):
            return False
        has_come, has_gone = (
            any(definition in each.definitions for each in where)
            for where in (differences.to_now, differences.to_base)[:: _DIRECTION[definition.kind]]
        )
        return not (
            (has_come and self._project.mentions(name, before=True))
            or (has_gone and self._project.mentions(name, before=False))
        )

    def _test_file(
        self, path: str, file: MeasuredFile | None, differences: _Differences
    ) -> list[Definition]:
        """Pick the tests of a file whose own functions changed.

        Gives the changed functions that are no tests, if the data does not say which tests ran them.
        """
        left = []
        reason = f"{self._project.shown(path)} changed"
        changed = {name for each in differences.all for name in each.functions}
        for definition in (each for one in differences.all for each in one.definitions):
            if _is_test(definition.name):
                changed.add(definition.name)
            else:
                left.append(definition)
        headers = {each.name for one in differences.all for each in one.definitions}
        by_name: dict[str, list[NamedTest]] = defaultdict(list)
        for test in self._recorded.by_file.get(path, ()):
            by_name[test.name].append(test)
        for function in changed:
            name = function.replace(".", "::")
            if not _is_test(function):
                if file is None:
                    left.append(Definition(function, "both", is_plain=False, lines=0))
            elif function in headers or name not in by_name:
                # Its parameters may be others now.
                self.tests[NamedTest(path, name)].add(reason)
            else:
                for test in by_name[name]:
                    self.tests[test].add(reason)
        return left

    def _pick(
        self, touching: Touching, reason: str, path: str, *, is_private: bool = False
    ) -> None:
        """`is_private`: a fixture of a wider scope cannot have run these lines for other tests."""
        for test, phase in touching.phases:
            self.tests[test].add(reason)
            if phase in IS_PREPARATION and not is_private:
                self._pick_sharing(test, reason, path)

    def _pick_sharing(self, test: NamedTest, reason: str, path: str) -> None:
        """Pick the tests that may use what the fixtures of one test made."""
        project = self._project
        reason = f"{reason}, in a fixture that may be shared"
        if sharing((project.now(test.path) or b"").decode(errors="replace")):
            self._pick_files([test.path], reason)
        for conftest in project.conftests(test.path):
            scope = sharing((project.now(conftest) or b"").decode(errors="replace"))
            if scope == "file":
                self._pick_files([test.path], reason)
            elif scope == "all":
                self.note("ran in fixtures that tests may share: all tests below count", path)
                self._pick_below(conftest, {reason})

    def _pick_below(self, conftest: str, reasons: Iterable[str]) -> None:
        below = os.path.dirname(conftest) + "/"
        self._pick_files(
            [path for path in self._recorded.by_file if path.startswith(below)], *reasons
        )

    def _pick_files(self, paths: Iterable[str], *reasons: str) -> None:
        for path in paths:
            self.whole[path].update(reasons)


def _is_test(name: str) -> bool:
    """Whether pytest takes a function for a test, by its qualified name."""
    return "<locals>" not in name and name.rpartition(".")[2].startswith("test")


def _both(to_now: tuple[Difference, ...], to_base: tuple[Difference, ...]) -> _Differences:
    return _Differences((*to_now, *to_base), to_base, to_now)
