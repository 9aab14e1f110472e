"""What was measured, as an answer needs it: the facts of each file, the processes, the sources."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from covsup.datafile.errors import CovsupError
from covsup.datafile.fold.fold import remapped
from covsup.datafile.fold.result import Kind
from covsup.datafile.provenance.derive import provenance_of
from covsup.views.model.known_facts import KnownFacts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from covsup.datafile.fold.sets import ArcSet, LineSet
    from covsup.views.model.view import View
    from covsup.views.sources.source_library import SourceLibrary


class NoSuchSource(CovsupError):
    """A word of the command line names no source file, or several."""


class Measured:
    """A session or a data file, with the sources that it is about."""

    def __init__(
        self,
        view: View,
        library: SourceLibrary,
        *,
        map_path: Callable[[str], str] = str,
        unexecuted: Mapping[str, str] | None = None,
    ) -> None:
        """`view` was refreshed. `map_path` gives the path under which a file is reported ([paths]).

        `unexecuted` has files of the measured sources of which no line may have run, each with the
        plugin of coverage.py that reports it, or "".
        """
        self.place: Path = view.place
        self.is_live = view.is_live
        self.map_path = map_path
        self.result = view.result if map_path is str else remapped(view.result, map_path)
        self.provenance = provenance_of(self.result)
        self.source_library = library
        self._facts = KnownFacts()
        self._facts.add(self.result)
        others = {map_path(path): plugin for path, plugin in (unexecuted or {}).items()}
        self.unexecuted = {
            path: plugin for path, plugin in others.items() if path not in self._facts.lines_of
        }
        plugins = {path: frozenset([name]) for path, name in self.unexecuted.items() if name}
        library.learn_plugins({**plugins, **self.result.plugins})

    @property
    def has_arcs(self) -> bool:
        """Whether branches were measured."""
        return self._facts.kind is Kind.ARCS

    def lines(self, path: str) -> LineSet:
        """The lines of a file that ran, in any process and context."""
        return self._facts.lines_of.get(path, 0)

    def arcs(self, path: str) -> ArcSet | None:
        """Its arcs; None if only lines were measured."""
        return self._facts.arcs_of.get(path, b"") if self.has_arcs else None

    def contexts(self, path: str) -> Mapping[str, LineSet]:
        """By label: the lines that ran in that context."""
        return self._facts.contexts_of.get(path, {})

    def paths(self) -> list[str]:
        """Every file that was measured or should have been, sorted."""
        return sorted({*self._facts.lines_of, *self.unexecuted})

    def is_edited(self, path: str) -> bool:
        """Whether the source differs from every version of it that was measured."""
        return self.source_library.is_edited(path, self.result.versions.get(path, ()))

    def find(self, word: str) -> str | None:
        """The file that a word means: a path, or the end of one. None where it was not measured.

        Raises NoSuchSource where several files end like this, or where there is no such file at all.
        """
        paths = self.paths()
        absolute = os.path.abspath(word)
        wanted = {word, absolute, os.path.realpath(word), self.map_path(absolute)}
        for path in paths:
            if path in wanted or os.path.abspath(path) in wanted:
                return path
        end = "/" + os.path.normpath(word).lstrip("/")
        found = [path for path in paths if f"/{path}".endswith(end)]
        if len(found) > 1:
            raise NoSuchSource(
                f"{word} is {len(found)} files, name more of the path: {first_few(map(shown, found))}"
            )
        if found:
            return found[0]
        if not os.path.isfile(word):
            named_alike = [
                path for path in paths if os.path.basename(path) == os.path.basename(word)
            ]
            hint = f"; measured: {first_few(map(shown, named_alike))}" if named_alike else ""
            raise NoSuchSource(
                f"there is no file {word}, and no measured file whose path ends so{hint}"
            )
        return None

    def below(self, words: Iterable[str]) -> list[str]:
        """The files that are one of these files, or in one of these directories.

        Raises NoSuchSource for a word that means no file.
        """
        found: set[str] = set()
        for word in words:
            if not os.path.isdir(word):
                file = self.find(word)
                if file is None:
                    raise NoSuchSource(f"{word} was not measured: `covsup why {word}:1` says why")
                found.add(file)
                continue
            roots = (os.path.abspath(word), os.path.realpath(word))
            inside = [
                path
                for path in self.paths()
                if any(_is_below(os.path.abspath(path), root) for root in roots)
            ]
            if not inside:
                raise NoSuchSource(f"no file in {word} was measured")
            found |= {*inside}
        return sorted(found)


def shown(path: str) -> str:
    """A path for people: relative, if it is below the working directory."""
    try:
        here = os.path.join(os.getcwd(), "")
    except OSError:  # it was deleted
        return path
    return path.removeprefix(here)


def first_few(words: Iterable[str], most: int = 5) -> str:
    """The first ones of a list, and how many more there are."""
    every = list(words)
    more = f" and {len(every) - most} more" if len(every) > most else ""
    return ", ".join(every[:most]) + more


def ranges(numbers: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Numbers in ascending order as ranges."""
    first = last = None
    for number in numbers:
        if first is None or last is None:
            first = last = number
        elif number == last + 1:
            last = number
        else:
            yield first, last
            first = last = number
    if first is not None and last is not None:
        yield first, last


def _is_below(path: str, root: str) -> bool:
    return path == root or path.startswith(os.path.join(root, ""))
