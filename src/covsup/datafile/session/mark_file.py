"""Read the file of a mark, which `covsup.mark_files` has written."""

from __future__ import annotations

from covsup.datafile.session.text_files import read_text_of_others
from covsup.hints import TYPE_CHECKING, NamedTuple
from covsup.mark_files import FORMAT, SEES_ALL
from covsup.pairs import decode_pairs

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Self, TypeAlias

    Tails: TypeAlias = Mapping[str, Mapping[int, int]]
    """By file (its path in the session directory) and offset there: the tail of each journal."""


class MarkFile(NamedTuple):
    """A mark as its file in the session directory has it."""

    name: str
    at_ns: int
    sees_all: bool  # else it lists only the journals that its process could read
    tails: Tails
    own_tails: Mapping[tuple[str, int], int]
    """Of the process that set the mark, where it could not read its files: by image and segment."""

    @classmethod
    def of_file(cls, path: Path) -> Self:
        """The mark in a file. Raises OSError, and ValueError for a file that covsup did not write."""
        values: dict[str, str] = {}
        tails: dict[str, dict[int, int]] = {}
        own: dict[tuple[str, int], int] = {}
        for key, value in decode_pairs(read_text_of_others(path)):
            if key == "tail":
                tail, offset, journal = _three(value)
                tails.setdefault(journal, {})[_number(offset)] = _number(tail)
            elif key == "own":
                tail, segment, image_id = _three(value)
                own[image_id, _number(segment)] = _number(tail)
            else:
                values[key] = value
        if values.get("format") != FORMAT:
            raise ValueError(f"its format is {values.get('format')}, not {FORMAT}")
        if not values.get("name"):
            raise ValueError("it has no name")
        name = values["name"].encode("utf-8", "backslashreplace").decode("utf-8")
        at_ns = _number(values.get("at_ns", ""))
        return cls(name, at_ns, values.get("sees") == SEES_ALL, tails, own)


def _three(value: str) -> list[str]:
    """The parts of a tail. Raises ValueError."""
    parts = value.split(" ", 2)
    if len(parts) != 3:
        raise ValueError(f"it has an impossible tail: {value[:80]}")
    return parts


def _number(text: str) -> int:
    """A number of 63 bits. Raises ValueError: the file may be another user's, with any contents."""
    number = int(text)
    if not 0 <= number < 1 << 63:
        raise ValueError(f"it has an impossible number: {number}")
    return number
