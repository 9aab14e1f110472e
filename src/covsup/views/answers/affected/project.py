"""The files of a project as they were in the base, as they are now, and as they were measured."""

from __future__ import annotations

import os
import re
from functools import cached_property
from typing import TYPE_CHECKING

from covsup.datafile.source_files import read_source
from covsup.hints import NamedTuple
from covsup.views.answers.affected.importers import ImportGraph
from covsup.views.answers.affected.measured_texts import measured_texts
from covsup.views.answers.affected.pytest_files import (
    CONFTEST,
    conftests_above,
    file_patterns,
    matches,
)
from covsup.views.answers.affected.python_changes import unified

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Final

    from covsup.datafile.source_files import SourceText
    from covsup.views.answers.affected.measured_texts import Found
    from covsup.views.answers.affected.recorded_tests import MeasuredFile
    from covsup.views.answers.affected.repository import FileChange, Repository

_PYTHON: Final = (".py", ".pyw")
_NOT_OURS: Final = frozenset(
    {".covsup", "__pycache__", ".pytest_cache", "site-packages", "node_modules"}
)


class Versions(NamedTuple):
    """The contents of one file; None = there was or is no such file."""

    before: bytes | None
    now: bytes | None


class Project:
    """A working tree, and the change in it."""

    def __init__(
        self,
        repository: Repository,
        base: str,
        revisions: Sequence[str],
        directory: str,
    ) -> None:
        """The change is relative to the commit `base`; histories end with `revisions`."""
        self._repository = repository
        self._revisions = revisions
        self.top = repository.top
        self.directory = directory
        self.changes = {each.path: each for each in repository.changes(base)}
        self._tracked = frozenset(repository.files())
        self._sources: dict[str, SourceText | None] = {}
        patterns = {*file_patterns(self.top), *file_patterns(directory)}
        self._patterns = tuple(patterns)

    def shown(self, path: str) -> str:
        """A path for people."""
        return os.path.relpath(path, self.directory)

    def is_there(self, path: str) -> bool:
        """Whether the working tree or the base has a file."""
        return path in self._tracked or path in self.changes or os.path.isfile(path)

    def is_test_file(self, path: str) -> bool:
        """Whether pytest looks for tests in a file of this name."""
        return matches(path, self._patterns)

    def is_python(self, path: str, measured: MeasuredFile | None) -> bool:
        """Whether a file is a Python source."""
        if path.endswith(_PYTHON):
            return True
        has_ending = "." in os.path.basename(path)
        return measured is not None and not measured.has_plugin and not has_ending

    def now(self, path: str) -> bytes | None:
        """The file of the working tree; None if there is none that can be read."""
        source = self._source(path)
        return None if source is None else source.text

    def before(self, path: str) -> bytes | None:
        """The file of the base; None if it had none."""
        change = self.changes.get(path)
        if change is None:
            return self.now(path)
        return self._repository.text(change.old) if change.old and change.is_text else None

    def versions(self, path: str) -> Versions:
        """The file before the change and after it."""
        return Versions(self.before(path), self.now(path))

    def is_same(self, path: str) -> bool:
        """Whether a file that git lists has the text of the base: only its mode or times differ."""
        before, now = self.versions(path)
        return before is not None and now is not None and unified(before) == unified(now)

    def measured(self, path: str, file: MeasuredFile, versions: Versions) -> Found:
        """The texts of a file that were measured."""
        source = self._source(path) if versions.now is not None else None
        return measured_texts(file.versions, source, self._earlier(path, versions.before))

    def is_stale(self, path: str, file: MeasuredFile) -> bool:
        """Whether a file that is part of no change differs from a version that was measured."""
        source = self._source(path)
        if source is None:
            return False
        now = source.version
        return any(each.digest != now.digest and each.stamp != now.stamp for each in file.versions)

    @property
    def python_files(self) -> Iterator[str]:
        """Python files of the working tree and of the base."""
        for path in {*self._tracked, *self.changes}:
            change = self.changes.get(path)
            if path.endswith(_PYTHON) and not (change and is_own_output(path, change)):
                yield path

    @cached_property
    def imports(self) -> ImportGraph:
        """Who imports whom: before the change or after it."""
        return ImportGraph(self.python_files, self._both_texts)

    def mentions(self, name: str, *, before: bool) -> bool:
        """Whether a Python file has a word, before the change or after it."""
        word = re.compile(rf"\b{re.escape(name)}\b".encode())
        read = self.before if before else self.now
        return any(word.search(read(path) or b"") for path in self.python_files)

    def conftests(self, test_file: str) -> list[str]:
        """The conftest files that the tests of a file see."""
        return [each for each in conftests_above(test_file, self.top) if self.is_there(each)]

    def _source(self, path: str) -> SourceText | None:
        if path not in self._sources:
            self._sources[path] = read_source(path)
        return self._sources[path]

    def _earlier(self, path: str, before: bytes | None) -> Iterator[bytes]:
        if before is not None:
            yield before
        for object_id in self._repository.earlier_versions(path, self._revisions):
            yield self._repository.text(object_id)

    def _both_texts(self, path: str) -> str:
        texts = [self.now(path)]
        if path in self.changes:
            texts.append(self.before(path))
        return "\n".join((each or b"").decode(errors="replace") for each in texts)


def is_conftest(path: str) -> bool:
    """Whether pytest loads a file for the tests beside and below it."""
    return os.path.basename(path) == CONFTEST


def is_own_output(path: str, change: FileChange) -> bool:
    """Whether an untracked file belongs to a tool: to covsup, to pytest, to an installation."""
    words = path.split("/")
    return not change.old and (
        words[-1].startswith(".coverage")
        or words[-1].endswith(".coverage")  # a data file that was kept, as main.coverage
        or words[-1].endswith(".pyc")
        or bool(_NOT_OURS & set(words))
    )
