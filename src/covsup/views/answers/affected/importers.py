"""Which files import a file, as far as their text says so.

Imports are found by their words, also those inside functions, and so are strings with the dotted name
of a module (settings of Django, `import_module`). A name that could mean several files means them all.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Final

_IMPORT: Final = re.compile(
    r"(?:^|[;:])[ \t]*(?:"
    r"from[ \t]*(?P<source>\.*[ \t]*[\w.]*)[ \t]*\bimport\b[ \t]*"
    r"(?P<names>\([^)]*\)|(?:\\\r?\n|[^\n;#])*)"
    r"|import[ \t]+(?P<modules>(?:\\\r?\n|[^\n;#])*))",
    re.MULTILINE,
)
_COMMENT: Final = re.compile(r"#[^\n]*")
_ALIAS: Final = re.compile(r"\s+as\s+\w+")
_DOTTED: Final = re.compile(r"""["']([^\W\d]\w*(?:\.[^\W\d]\w*)+)["'.:]""")
_WORD: Final = re.compile(r"[\w.]+")


class ImportGraph:
    """The files of a project, and who imports whom."""

    def __init__(self, paths: Iterable[str], read: Callable[[str], str]) -> None:
        """`paths` are absolute. `read` gives the text of one."""
        self._paths = set(paths)
        self._names: dict[str, set[str]] = defaultdict(set)
        self._outside: dict[str, int] = {}
        for path in self._paths:
            for name in self._names_of(path):
                self._names[name].add(path)
        self._importers: dict[str, set[str]] = defaultdict(set)
        for path in self._paths:
            for imported in self._imported(path, read(path)):
                self._importers[imported].add(path)

    def importers(self, path: str) -> set[str]:
        """The files that import a file, directly or through others; itself too."""
        found, waiting = {path}, [path]
        while waiting:
            new = self._importers[waiting.pop()] - found
            found |= new
            waiting += new
        return found

    def _names_of(self, path: str) -> Iterator[str]:
        """The names under which a file can be imported: from its package's root, or from above it."""
        parts = os.path.splitext(path)[0].split("/")
        if parts[-1] == "__init__":
            parts.pop()
        root = len(parts) - 1
        while root > 1 and "/".join(parts[:root]) + "/__init__.py" in self._paths:
            root -= 1
        for start in range(root, 0, -1):
            yield ".".join(parts[start:])

    def _imported(self, path: str, text: str) -> Iterator[str]:
        beside = os.path.dirname(path)
        for name in _imported_names(text):
            level = len(name) - len(name.lstrip("."))
            if level:
                yield from self._relative(beside, level, name[level:])
            else:
                words = name.split(".")
                for end in range(1, len(words) + 1):
                    yield from self._names.get(".".join(words[:end]), ())
                yield from self._below(beside, words)  # a script's own directory is searched
        for name in _DOTTED.findall(text):
            words = name.split(".")
            for end in range(2, len(words) + 1):
                yield from self._names.get(".".join(words[:end]), ())

    def _relative(self, directory: str, level: int, name: str) -> Iterator[str]:
        for _ in range(level - 1):
            directory = os.path.dirname(directory)
        yield from self._below(directory, ["__init__"])
        yield from self._below(directory, name.split("."))

    def _below(self, directory: str, words: list[str]) -> Iterator[str]:
        place = directory
        for word in words:
            place = f"{place}/{word}"
            for path in (f"{place}.py", f"{place}/__init__.py"):
                if path in self._paths:
                    yield path


def _imported_names(text: str) -> Iterator[str]:
    """The dotted names that a text imports; of `from a import b` both `a` and `a.b`."""
    for found in _IMPORT.finditer(text):
        if found["modules"] is not None:
            for each in _ALIAS.sub("", found["modules"]).split(","):
                yield from _WORD.findall(each)[:1]
            continue
        source = "".join(found["source"].split())
        yield source
        names = _ALIAS.sub("", _COMMENT.sub("", found["names"]))
        for name in _WORD.findall(names):
            yield f"{source}{name}" if source.endswith(".") else f"{source}.{name}"
