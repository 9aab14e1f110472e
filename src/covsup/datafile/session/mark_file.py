"""Read the file of a mark, which `covsup.mark_files` has written."""

from __future__ import annotations

from covsup.datafile.session.text_files import read_text
from covsup.hints import TYPE_CHECKING, NamedTuple
from covsup.mark_files import FORMAT, SEES_ALL
from covsup.pairs import decode_pairs

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Self


class MarkFile(NamedTuple):
    """A mark as its file in the session directory has it."""

    name: str
    at_ns: int
    sees_all: bool  # else it lists only the journals that its process could read
    tails: Mapping[tuple[str, int], int]
    """By journal (its path in the session directory, its offset in that file): its tail."""

    @classmethod
    def of_file(cls, path: Path) -> Self:
        """The mark in a file. Raises OSError, and ValueError for a file that covsup did not write."""
        values: dict[str, str] = {}
        tails: dict[tuple[str, int], int] = {}
        for key, value in decode_pairs(read_text(path)):
            if key == "tail":
                tail, offset, journal = value.split(" ", 2)
                tails[journal, int(offset)] = int(tail)
            else:
                values[key] = value
        if values.get("format") != FORMAT:
            raise ValueError(f"its format is {values.get('format')}, not {FORMAT}")
        if not values.get("name") or not values.get("at_ns", "").isdecimal():
            raise ValueError("it lacks a name or a time")
        return cls(values["name"], int(values["at_ns"]), values.get("sees") == SEES_ALL, tails)
