"""The header of a journal: which process image wrote it, and how far.

The layout comes from tracer_c/journal/format.h, through the extension. docs/journal-format.md
explains the fields.
"""

from __future__ import annotations

import struct
import sys
from binascii import crc32
from enum import IntEnum

from covsup.datafile import _fold
from covsup.datafile._fold import JOURNAL_HEADER_SIZE, JOURNAL_MAGIC, JOURNAL_VERSION
from covsup.datafile.errors import JournalDamaged, JournalNotBegun, JournalVersionUnsupported
from covsup.hints import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any, Final

NATIVE: Final = "<" if sys.byteorder == "little" else ">"
"""This machine's byte order, as `struct` names it."""

_FORMATS: Final = {4: "I", 8: "Q", 16: "16s"}
_LAYOUT: Final = {name: (offset, size) for name, offset, size in _fold.HEADER_LAYOUT}
_CHECKED: Final = slice(_fold.JOURNAL_CHECKED_FROM, _fold.JOURNAL_CHECKED_TO)
_NO_IMAGE: Final = bytes(16)


class StartKind(IntEnum):
    """How an image began."""

    SPAWNED = _fold.JOURNAL_SPAWNED
    """It is a new program, or the root of the session."""
    FORKED = _fold.JOURNAL_FORKED
    EXECED = _fold.JOURNAL_EXECED


class Core(IntEnum):
    """Where an image's facts come from."""

    MONITORING = _fold.JOURNAL_CORE_MONITORING
    SETTRACE = _fold.JOURNAL_CORE_SETTRACE


class Header(NamedTuple):
    """Which image wrote a journal, and how far.

    The fields have the names and the order of the header's, without those that only a reader needs
    (magic, header_size, byte_order, identity_check); `branch` is a bit of `flags`.
    """

    version: int  # of the format
    image_id: str  # 32 hexadecimal digits
    parent_image_id: str | None  # None: unknown
    pid: int
    ppid: int
    start_realtime_ns: int  # wall clock, since 1970
    start_boottime_ns: int  # since boot
    generation: int  # 0 for the first image of a process, one more per exec
    start_kind: StartKind
    python_hexversion: int
    core: Core
    branch: bool  # arcs are measured, not lines
    segment: int  # the number of this file among those of its image
    capacity: int  # bytes, for the header and the words
    uid: int
    offset: int  # of this header in its file, in bytes: 0, or where a slot begins
    slots_at: int  # of the first slot in this file, in bytes; 0 = it has none
    slot_size: int  # bytes
    slot_count: int
    tail: int  # of the first word that is not in use, in bytes
    allocated: int  # bytes on the disk
    lost_facts: int  # attempts to store one that failed
    lost_events: int
    lost_errno: int  # of the first loss
    lost_stage: int  # of the first loss: a row of the table in docs/journal-format.md
    threads_started: int  # counted only in the first segment
    slots_used: int  # slots that were handed out
    forks_lost_facts: int  # by forked processes while they had no journal at all
    forks_lost_events: int
    forks_lost_errno: int  # of the first of these losses
    forks_lost_stage: int


KINDS: Final = tuple(StartKind)
CORES: Final = tuple(Core)


def header_struct(order: str, *names: str) -> struct.Struct:
    """A `Struct` of the named fields of a header, in the order of the header.

    `order` is the byte order, as `struct` names it.
    """
    parts = [order]
    end = 0
    for name in names:
        offset, size = _LAYOUT[name]
        parts.append(f"{offset - end}x{'8s' if name == 'magic' else _FORMATS[size]}")
        end = offset + size
    return struct.Struct("".join(parts))


_STRUCTS: Final = {order: header_struct(order, *_LAYOUT) for order in "<>"}


def read_header(path: str | Path, head: bytes) -> tuple[Header, str]:
    """The header in `head`, the first bytes of a journal, and its byte order as `struct` names it.

    `path` is for messages. Raises JournalNotBegun, JournalDamaged or JournalVersionUnsupported.
    """
    at, size = _LAYOUT["byte_order"]
    order = ">" if head[at : at + size] == _fold.JOURNAL_BYTE_ORDER.to_bytes(size, "big") else "<"
    at, size = _LAYOUT["version"]
    version = struct.unpack_from(f"{order}I", head.ljust(at + size, b"\0"), at)[0]
    if head[: len(JOURNAL_MAGIC)].strip(b"\0") == b"" and version <= JOURNAL_VERSION:
        # The magic is stored last.
        raise JournalNotBegun(f"{path}: its process began it and wrote nothing")
    if not head.startswith(JOURNAL_MAGIC):
        raise JournalDamaged(f"{path}: is not a journal of covsup")
    if len(head) < JOURNAL_HEADER_SIZE:
        raise JournalDamaged(f"{path}: is cut short within its header")
    values: dict[str, Any] = dict(zip(_LAYOUT, _STRUCTS[order].unpack_from(head), strict=True))
    has_byte_order = values.pop("byte_order") == _fold.JOURNAL_BYTE_ORDER
    if has_byte_order and not 1 <= version <= JOURNAL_VERSION:
        raise JournalVersionUnsupported(
            f"{path}: has format {version}, and this covsup reads formats 1 to {JOURNAL_VERSION}:"
            " combine it with the covsup that wrote it",
            version=version,
        )
    has_size = values.pop("header_size") == JOURNAL_HEADER_SIZE
    if not has_byte_order or not has_size or values.pop("identity_check") != crc32(head[_CHECKED]):
        raise JournalDamaged(f"{path}: its header is damaged")
    del values["magic"]
    parent = values["parent_image_id"]
    try:
        header = Header(
            **values
            | {
                "image_id": values["image_id"].hex(),
                "parent_image_id": parent.hex() if parent != _NO_IMAGE else None,
                "start_kind": StartKind(values["start_kind"]),
                "core": Core(values["core"]),
                "branch": bool(values.pop("flags") & _fold.JOURNAL_FLAG_BRANCH),
            }
        )
    except ValueError as error:
        raise JournalDamaged(f"{path}: its header is damaged: {error}") from error
    return header, order
