"""Write the bytes of a journal, after docs/journal-format.md: for sessions of any size."""

from __future__ import annotations

import os
import struct
import sys
from binascii import crc32
from dataclasses import dataclass

HEADER_SIZE = 512
TAIL_AT = 256
SPAWNED, FORKED = 1, 2
FILE, CONTEXT, EVENT, PROPERTY = 1, 2, 3, 4
PROCESS_SPAWNED, REAPED, ENDED = 3, 4, 5


@dataclass(frozen=True, kw_only=True)
class WrittenImage:
    """The identity of a process image."""

    image: bytes
    pid: int
    started_ns: int
    boottime_ns: int
    branch: bool
    parent: bytes = bytes(16)
    ppid: int = 1
    start_kind: int = SPAWNED

    def name(self) -> str:
        """The name of its journal."""
        return f"{self.pid}-{self.image.hex()}.0.journal~"

    def journal(self, words: list[int]) -> bytes:
        """Its journal with these words."""
        body = struct.pack(f"={len(words)}Q", *words)
        identity = struct.pack(
            "=IIQ16s16sQQQQIIIIIIQQ120x",
            *(2, HEADER_SIZE, 0x0102030405060708, self.image, self.parent, self.pid, self.ppid),
            *(self.started_ns, self.boottime_ns),
            *(0, self.start_kind, sys.hexversion, 1, int(self.branch), 0, 64 << 20, os.getuid()),
        )
        changing = struct.pack("=QQQQIIQ208x", HEADER_SIZE + len(body), 8192, 0, 0, 0, 0, 1)
        return b"COVSUPJ\n" + identity + struct.pack("=Q", crc32(identity)) + changing + body


def blob(kind: int, payload: bytes) -> list[int]:
    """The words of a text."""
    head = 0x40 << 56 | kind << 48 | len(payload) << 24 | crc32(payload) & 0xFFFFFF
    pieces = (payload[at : at + 7] for at in range(0, len(payload), 7))
    return [head, *(0x31 << 56 | int.from_bytes(piece, sys.byteorder) for piece in pieces)]


def event(kind: int, at_ns: int, payload: bytes) -> list[int]:
    """The words of an event."""
    return blob(EVENT, struct.pack("=IQ", kind, at_ns) + payload)


def file_words(file_id: int, path: str, module: str) -> list[int]:
    """The words that define a file."""
    return blob(FILE, struct.pack("=I", file_id) + path.encode() + b"\0" + module.encode())


def context_words(context_id: int, label: str) -> list[int]:
    """The words that define a context."""
    return blob(CONTEXT, struct.pack("=I", context_id) + label.encode())


def property_words(key: str, value: bytes) -> list[int]:
    """The words of a property of the process."""
    return blob(PROPERTY, key.encode() + b"\0" + value)


def line_words(file_id: int, context_id: int, lines: list[int]) -> list[int]:
    """The words of lines."""
    owner = 1 << 60 | file_id << 42 | context_id
    return [owner | line << 22 for line in lines]


def arc_words(file_id: int, context_id: int, arcs: list[tuple[int, int]]) -> list[int]:
    """The words of arcs that begin at a line, to a line or out of the code object."""
    owner = file_id << 44 | context_id
    return [
        (0x7 if end > 0 else 0xD) << 60 | owner | begin << 26 | (abs(end) - begin & 0x7FF) << 15
        for begin, end in arcs
    ]
