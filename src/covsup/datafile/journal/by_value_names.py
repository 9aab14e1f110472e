"""Code that was sent by value, as journals and data files name it.

cloudpickle sends functions without the name of their file, so what of them ran is known under a
name made of what they are (docs/journal-format.md). Such a name stands where else a path stands,
until `covsup.supervisor.combining.by_value_sources` has found the file.
"""

from __future__ import annotations

from covsup.hints import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from typing import Final, Self

    from covsup.datafile.fold.result import Result

PREFIX: Final = "<dynamic-code>\n"
"""How the names begin. Paths begin with a slash, or, where they were made relative, end in .py."""


class SentCode(NamedTuple):
    """A code object that was sent by value."""

    python: int  # which Python's bytecode it is: the number in its .pyc files
    line: int  # the first
    digest: int
    qualname: str
    path: str  # from where its module was loaded; "" where that is not known

    @classmethod
    def of(cls, name: str) -> Self | None:
        """What a name says; None for a path, and for a name that makes no sense."""
        if not name.startswith(PREFIX):
            return None
        try:
            _, python, line, digest, qualname, path = name.split("\n", 5)
            return cls(int(python), int(line), int(digest, 16), qualname, path)
        except ValueError:
            return None


def is_sent_code(path: str) -> bool:
    """Whether a path is the name of code that was sent by value."""
    return path.startswith(PREFIX)


def sent_code_in(result: Result) -> set[str]:
    """The names of code that was sent by value which stand in a result."""
    return {path for path in result.paths() if is_sent_code(path)}


def without_sent_code(result: Result) -> Result:
    """The same without the lines and arcs of code of which the file is not known."""
    return result._replace(
        lines={key: bits for key, bits in result.lines.items() if not is_sent_code(key[0])},
        arcs={key: arcs for key, arcs in result.arcs.items() if not is_sent_code(key[0])},
    )
