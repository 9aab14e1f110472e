"""The names of code that was sent by value, in journals and data files.

cloudpickle sends functions without the path of their file. So their lines are recorded under a name
that describes the code object (docs/journal-format.md). It stands in the place of a path until
`covsup.supervisor.combining.by_value_sources` has found the file.
"""

from __future__ import annotations

from covsup.hints import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from typing import Final, Self

    from covsup.datafile.fold.result import Result

PREFIX: Final = "<dynamic-code>\n"
"""How the names begin. No path does: it begins with a slash or, made relative, ends in .py."""


class SentCode(NamedTuple):
    """A code object that was sent by value."""

    python: int  # the magic number of its Python's .pyc files
    line: int  # its first line
    digest: int  # of its bytecode
    qualname: str
    path: str  # the file from which its module was loaded; "" = unknown

    @classmethod
    def of(cls, name: str) -> Self | None:
        """The code that a name describes; None for a path, and for a malformed name."""
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
    """The names in a result of code that was sent by value."""
    return {path for path in result.paths() if is_sent_code(path)}


def without_sent_code(result: Result) -> Result:
    """The result without the lines and arcs of code that was sent by value."""
    return result._replace(
        lines={key: bits for key, bits in result.lines.items() if not is_sent_code(key[0])},
        arcs={key: arcs for key, arcs in result.arcs.items() if not is_sent_code(key[0])},
    )
