"""An independent reader of a journal's words, written from docs/journal-format.md alone.

It repeats the numbers of the format on purpose: the tests compare the reader in C with it, so it must
not take them from the code that it judges. It reads the words one by one, as plainly as possible.
"""

from __future__ import annotations

from binascii import crc32
from dataclasses import dataclass, field

LOW_56 = (1 << 56) - 1
CONT, DATA = 0x30, 0x31


@dataclass
class Said:
    """Everything that words say, and how many of them say nothing."""

    lines: dict[tuple[int, int], set[int]] = field(default_factory=dict)
    arcs: dict[tuple[int, int], set[tuple[int, int]]] = field(default_factory=dict)
    files: dict[int, tuple[bytes, bytes]] = field(default_factory=dict)
    contexts: dict[int, bytes] = field(default_factory=dict)
    properties: dict[bytes, bytes] = field(default_factory=dict)
    others: list[tuple[int, bytes]] = field(default_factory=list)
    torn: int = 0
    senseless: int = 0
    damaged: int = 0


def read(words: list[int], order: str, version: int = 2) -> Said:
    """`order` is the byte order of the numbers in texts, "little" or "big"."""
    said = Said()
    at = 0
    while at < len(words):
        at += _record(said, words[at:], order, version)
    return said


def _followers(words: list[int], tag: int, most: int) -> int:
    """How many words after the first have this tag."""
    count = 0
    while count < most and len(words) > count + 1 and words[count + 1] >> 56 == tag:
        count += 1
    return count


def _record(said: Said, words: list[int], order: str, version: int) -> int:  # noqa: PLR0911 - one a kind
    """Take in the first record, or word; gives of how many words it is."""
    head = words[0]
    tag = head >> 56
    key = (head >> 32 & 0xFFFFFF, head & 0xFFFFFFFF)
    match tag:
        case 0x00:
            said.torn += 1
            zeros = 1 + _followers(words, 0, len(words))
            rest = words[zeros - 1 :]
            return zeros + (_followers(rest, CONT, 2) or _followers(rest, DATA, len(rest)))
        case _ if 0x10 <= tag <= 0x1F:
            owner = (head >> 42 & 0x3FFFF, head & 0x3FFFFF)
            said.lines.setdefault(owner, set()).add(head >> 22 & 0xFFFFF)
            return 1
        case _ if version > 1 and tag >> 4 in {0x7, 0xB, 0xD}:
            line = head >> 26 & 0x3FFFF
            other = line + _signed(head >> 15, 11)
            pair = (-line if tag >> 4 == 0xB else line, -other if tag >> 4 == 0xD else other)
            said.arcs.setdefault((head >> 44 & 0xFFFF, head & 0x7FFF), set()).add(pair)
            return 1
        case 0x20 if _followers(words, CONT, 1) == 1:
            pair = (_signed(words[1] >> 28, 28), _signed(words[1], 28))
            said.arcs.setdefault(key, set()).add(pair)
            return 2
        case 0x21 if _followers(words, CONT, 1) == 1:
            said.lines.setdefault(key, set()).add(words[1] & LOW_56)
            return 2
        case 0x22 if _followers(words, CONT, 2) == 2:
            said.arcs.setdefault(key, set()).add((_signed(words[1], 56), _signed(words[2], 56)))
            return 3
        case 0x40:
            return _text(said, words, order)
        case _:
            pass
    said.senseless += 1
    return 1


def _text(said: Said, words: list[int], order: str) -> int:
    head = words[0]
    kind, length, check = head >> 48 & 0xFF, head >> 24 & 0xFFFFFF, head & 0xFFFFFF
    needed = -(-length // 7)
    there = _followers(words, DATA, needed)
    raw = b"".join((word & LOW_56).to_bytes(7, "little") for word in words[1 : 1 + there])
    text = raw[:length]
    number = int.from_bytes(text[:4], order)  # type: ignore[arg-type]
    if there < needed or crc32(text) & 0xFFFFFF != check:
        said.damaged += 1
    elif kind == 4:
        key, _, value = text.partition(b"\0")
        said.properties[key] = value
    elif kind not in {1, 2}:
        said.others.append((kind, text))
    elif kind == 2 and length >= 4:
        said.contexts[number] = text[4:]
    elif kind == 1 and length > 4 and text[4] and text[4:].count(0) == 1:
        path, module = text[4:].split(b"\0")
        said.files[number] = (path, module)
    else:
        said.damaged += 1
    return 1 + there


def _signed(number: int, bits: int) -> int:
    number &= (1 << bits) - 1
    return number - (1 << bits) if number >> bits - 1 else number
