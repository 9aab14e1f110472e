"""The digest by which a journal names code that was sent by value.

tracer_c/files/by_value.c computes the same one; docs/journal-format.md defines it.
"""

from __future__ import annotations

import struct
from types import CodeType

from covsup.hints import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Final

_MASK_64: Final = 0xFFFFFFFFFFFFFFFF
_DEEPEST_LEVEL: Final = 32
"""Values that lie deeper inside a code object have no part in its digest."""


def digest_of(value: object, level: int = 0) -> int:
    """The digest of a value. `level` is how deep it lies inside a code object."""
    # FNV-1a with 64 bits.
    digest = 0xCBF29CE484222325
    for byte in b"".join([b"."] if level > _DEEPEST_LEVEL else _parts(value, level)):
        digest = (digest ^ byte) * 0x100000001B3 & _MASK_64
    return digest


def _parts(value: object, level: int) -> list[bytes]:
    """The bytes that the digest of a value at this level is made of."""
    match value:
        case str():
            parts = [b"s", _utf8(value)]
        case bytes():
            parts = [b"b", value]
        case bool():
            parts = [b"obool", _number(value)]
        case int():
            parts = [b"i", hex(value).encode()]
        case float():
            parts = [b"f", struct.pack("<d", value)]
        case complex():
            parts = [b"c", struct.pack("<dd", value.real, value.imag)]
        case tuple():
            parts = [b"(", *_digests(value, level)]
        case frozenset():
            parts = [b"{", _number(sum(digest_of(item, level + 1) for item in value))]
        case slice():
            parts = [b":", *_digests((value.start, value.stop, value.step), level)]
        case CodeType():
            parts = [
                b"d",
                _number(value.co_firstlineno),
                _number(value.co_argcount),
                _number(value.co_posonlyargcount),
                _number(value.co_kwonlyargcount),
                *_digests((value.co_qualname, value.co_code, value.co_linetable), level),
                *_digests((value.co_exceptiontable, value.co_names, value.co_consts), level),
            ]
        case _:
            parts = [b"o", type(value).__name__.encode(), _number(0)]
    return parts


def _digests(values: Iterable[object], level: int) -> Iterator[bytes]:
    return (_number(digest_of(value, level + 1)) for value in values)


def _number(number: int) -> bytes:
    return (number & _MASK_64).to_bytes(8, "little")


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        return b""
