"""Sets of lines and sets of arcs, as compact values.

Equal sets are equal values, so results can be compared and hashed.
"""

from __future__ import annotations

import struct

from covsup.datafile._fold import unite_arcs
from covsup.hints import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from typing import Final, TypeAlias

__all__ = [
    "LARGEST_LINE",
    "Arc",
    "ArcSet",
    "LineSet",
    "arc_set_of",
    "arcs_in",
    "line_set_of",
    "lines_in",
    "lines_of_numbits",
    "numbits",
    "unite_arcs",
]  # fmt: skip

LineSet: TypeAlias = int
"""A set of line numbers: bit n is line n. As little-endian bytes it is coverage.py's numbits."""

Arc: TypeAlias = tuple[int, int]

ArcSet: TypeAlias = bytes
"""A set of arcs, sorted: the two lines of each as 32-bit numbers in this machine's byte order."""

LARGEST_LINE: Final = (1 << 24) - 1
"""The largest line that is kept. A damaged number must not cost more than 2 MiB of memory a file."""

_MOST_NUMBITS: Final = (LARGEST_LINE + 1) // 8

_ARC: Final = struct.Struct("=ii")
_ONE: Final = ord("1")
_BITS_OF_BYTE: Final = tuple(
    tuple(bit for bit in range(8) if byte >> bit & 1) for byte in range(256)
)


def line_set_of(numbers: Collection[int]) -> LineSet:
    """The set of these line numbers. None may be negative or above LARGEST_LINE."""
    if not numbers:
        return 0
    digits = bytearray(b"0") * (max(numbers) + 1)
    for number in numbers:
        digits[number] = _ONE
    digits.reverse()
    return int(digits, 2)


def lines_in(bits: LineSet) -> list[int]:
    """The line numbers in a set, ascending."""
    packed = numbits(bits)
    return [
        8 * index + bit for index, byte in enumerate(packed) if byte for bit in _BITS_OF_BYTE[byte]
    ]


def numbits(bits: LineSet) -> bytes:
    """A set of lines as coverage.py stores it: one bit for each line."""
    return bits.to_bytes((bits.bit_length() + 7) // 8, "little")


def lines_of_numbits(packed: bytes) -> LineSet:
    """The set of lines that numbits() gave. Lines above LARGEST_LINE are dropped."""
    return int.from_bytes(packed[:_MOST_NUMBITS], "little")


def arc_set_of(pairs: Iterable[Arc]) -> ArcSet:
    """The set of these arcs."""
    return b"".join(_ARC.pack(*pair) for pair in sorted(set(pairs)))


def arcs_in(arcs: ArcSet) -> list[Arc]:
    """The arcs in a set, ascending."""
    return list(_ARC.iter_unpack(arcs))
