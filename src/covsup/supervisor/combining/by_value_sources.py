"""Find the source files of functions that were sent by value.

cloudpickle sends functions of the main program, and others that cannot be imported elsewhere, as
code whose file name means nothing. A journal names such code by a digest, and by the file that its
module was loaded from. Its lines go to that file if it contains identical code, or else to the one
measured file that does.

The code may have been compiled in another way than here: pytest rewrites assertions, or another
Python compiled it. Then its lines go to the file that its module was loaded from, if that file has
code of the same name at the same line, and certainly has not changed since. Otherwise the lines
stay in the data file under the code's own name, for a later combination that may have the file, and
a message says so.
"""

from __future__ import annotations

import re
import warnings
from importlib.util import MAGIC_NUMBER
from types import CodeType

from covsup.datafile.fold.fold import remapped, without_paths
from covsup.datafile.fold.sets import LARGEST_LINE, line_set_of
from covsup.datafile.journal.by_value_names import SentCode, is_sent_code
from covsup.datafile.source_files import read_source
from covsup.hints import TYPE_CHECKING
from covsup.supervisor.combining.code_digest import digest_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from typing import Final

    from covsup.datafile.fold.result import Result
    from covsup.datafile.fold.sets import LineSet
    from covsup.datafile.source_files import SourceText
    from covsup.supervisor.combining.source_versions import SourceVersions

_THIS_PYTHON: Final = int.from_bytes(MAGIC_NUMBER[:2], "little")
_OPTIMIZATIONS: Final = (0, 1, 2)  # python, python -O, python -OO
_SHOWN: Final = 3


class SourceFinder:
    """Finds the source files of code in a result that was sent by value."""

    def __init__(
        self,
        result: Result,
        sent: Collection[str],
        map_path: Callable[[str], str],
        versions: SourceVersions,
    ) -> None:
        """`sent` are the names of such code in `result`. `map_path` gives a source file's name in
        the result.
        """
        self.result = result
        self.sentences: list[str] = []
        self._sent = sorted(sent)
        self._map_path = map_path
        self._versions = versions
        self._measured = sorted(path for path in result.first if not is_sent_code(path))
        self._sources: dict[str, _Source | None] = {}

    def resolve(self) -> Result:
        """The result with the lines moved to their source files. `sentences` gets a warning about
        code whose file was not found.
        """
        names: dict[str, str] = {}  # source files by the code's name
        dropped: set[str] = set()  # names of code without lines that anybody could miss
        lost: dict[str, list[str]] = {}  # names of code without a file, by reason
        for name in self._sent:
            code = SentCode.of(name)
            if code is None:
                lost.setdefault("the journal is damaged there", []).append(name)
                continue
            places = self._places(code) or self._likely_places(name, code)
            if len(places) == 1:
                names[name] = places[0]
            elif name not in self.result.first or self._is_generated(name, code):
                dropped.add(name)
            else:
                lost.setdefault(self._reason(code, places), []).append(name)
        self.sentences += [self._sentence(why, each) for why, each in lost.items()]
        rest = without_paths(self.result, dropped) if dropped else self.result
        return remapped(rest, lambda path: names.get(path, path)) if names else rest

    def _places(self, code: SentCode) -> Sequence[str]:
        """The names of the files that contain identical code."""
        if code.python != _THIS_PYTHON:
            return ()
        if code.path:
            source = self._source(code.path)
            if source is not None and source.has(code):
                return [self._map_path(code.path)]
            if not self._is_unchanged(code.path):
                return ()  # it may have had the code before, and another file would be a copy
        # The code may come from another file that was executed in the module's namespace.
        return [
            path
            for path in self._measured
            if (source := self._source(path)) and source.may_have(code) and source.has(code)
        ]

    def _likely_places(self, name: str, code: SentCode) -> Sequence[str]:
        """The file that its module was loaded from, if the executed lines fit its code there."""
        source = self._source(code.path) if code.path else None
        if source is None or not self._is_unchanged(code.path):
            return ()
        executed = 0
        for bits in self.result.first.get(name, {}).values():
            executed |= bits
        has_lines = executed and not executed & ~source.lines_of(code)
        return [self._map_path(code.path)] if has_lines else ()

    def _is_unchanged(self, path: str) -> bool:
        """Whether the file has certainly not changed since it was measured."""
        return self._versions.is_unchanged(path, self.result.versions.get(self._map_path(path), ()))

    def _source(self, path: str) -> _Source | None:
        """The source file at this path or, if there is none, at the path that it is mapped to."""
        if path not in self._sources:
            self._sources[path] = _Source.at(path) or _Source.at(self._map_path(path))
        return self._sources[path]

    def _is_generated(self, name: str, code: SentCode) -> bool:
        """Whether the code was generated at run time, as dataclasses do it, so that no file has it.

        Such code is not measured where it is not sent by value. This is certain only if the file
        has not changed since it was measured, or since the session began.
        """
        source = self._source(code.path) if code.path else None
        if source is None or code.python != _THIS_PYTHON or source.names(code):
            return False
        return self._is_unchanged(code.path) or source.changed_ns < self._began_ns(name)

    def _began_ns(self, name: str) -> int:
        """When the first session that executed the code began, in ns; 0 = unknown."""
        sessions = {
            self.result.images[image_id].identity.session
            for _, image_id in self.result.first[name]
            if image_id in self.result.images
        }
        began = [
            self.result.sessions[session].started_ns
            for session in sessions
            if session in self.result.sessions
        ]
        return min(began, default=0)

    def _reason(self, code: SentCode, places: Sequence[str]) -> str:
        if places:
            return f"{' and '.join(places[:_SHOWN])} have the same code"
        if code.python != _THIS_PYTHON:
            return "another Python compiled that code: combine with the one that ran it"
        if not code.path:
            return "its module has no file (a notebook, a prompt, or -c)"
        path = self._map_path(code.path)
        if self._source(code.path) is None:
            return f"{path} cannot be read here: combine where it is"
        return f"{path} has no such code any more"

    def _sentence(self, why: str, names: Sequence[str]) -> str:
        lines = sum(
            bits.bit_count() for name in names for bits in self.result.first.get(name, {}).values()
        )
        found = {code.qualname for name in names if (code := SentCode.of(name)) is not None}
        shown = ", ".join(sorted(found)[:_SHOWN])
        more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        are = "line of a function sent by value is" if lines == 1 else (
            f"lines of {'a function' if len(found) == 1 else 'functions'} sent by value are"
        )  # fmt: skip
        return f"{lines} {are} not in the result ({shown}{more}): {why}"


class _Source:
    """A Python source file as it is now, compiled as often as needed."""

    def __init__(self, path: str, source: SourceText) -> None:
        self.changed_ns = source.changed_ns
        self._path = path
        self._text = source.text
        self._lines: list[bytes] = []
        self._codes: list[dict[tuple[str, int], list[CodeType]]] = []  # by level

    @classmethod
    def at(cls, path: str) -> _Source | None:
        """The file at this path; None if it cannot be read."""
        source = read_source(path)
        return None if source is None else cls(path, source)

    def has(self, code: SentCode) -> bool:
        """Whether the file contains identical code."""
        return any(
            digest_of(mine) == code.digest
            for codes in self._by_level()
            for mine in codes.get((code.qualname, code.line), ())
        )

    def names(self, code: SentCode) -> bool:
        """Whether the file has code of the same name at the same line."""
        return any((code.qualname, code.line) in codes for codes in self._by_level())

    def lines_of(self, code: SentCode) -> LineSet:
        """The lines of the code of the same name at the same line."""
        return line_set_of(
            {
                line
                for codes in self._by_level()
                for mine in codes.get((code.qualname, code.line), ())
                for _, _, line in mine.co_lines()
                if line is not None and 0 < line <= LARGEST_LINE
            }
        )

    def may_have(self, code: SentCode) -> bool:
        """A quick search in the text, without compiling it: False if the code is certainly not
        there.
        """
        if not self._lines:
            self._lines = self._text.split(b"\n")
        if not 0 < code.line <= len(self._lines):
            return False
        names = [name for name in code.qualname.split(".") if name.isidentifier()]
        return not code.qualname.isascii() or all(
            re.search(rf"(?:def|class)\s+{name}\b".encode(), self._text) for name in names
        )

    def _by_level(self) -> Iterator[dict[tuple[str, int], list[CodeType]]]:
        """The code objects of the file by name and first line, for each level of optimization."""
        for level in _OPTIMIZATIONS:
            if level == len(self._codes):
                self._codes.append(_by_name(self._compiled(level)))
            yield self._codes[level]

    def _compiled(self, level: int) -> CodeType | None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                return compile(self._text, self._path, "exec", dont_inherit=True, optimize=level)
            except (SyntaxError, ValueError, OverflowError, RecursionError, MemoryError):
                return None  # the version that ran is gone


def _by_name(code: CodeType | None) -> dict[tuple[str, int], list[CodeType]]:
    """A module's code object and all code objects inside, by name and first line."""
    found: dict[tuple[str, int], list[CodeType]] = {}
    rest = [] if code is None else [code]
    while rest:
        one = rest.pop()
        found.setdefault((one.co_qualname, one.co_firstlineno), []).append(one)
        rest += [each for each in one.co_consts if isinstance(each, CodeType)]
    return found
