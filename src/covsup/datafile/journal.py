"""Read a journal: what one process image executed and what happened to it.

The format is described in docs/journal-format.md. A journal may be read while its process writes
it, after it was killed, and when the file was damaged: whatever is sound is used, the rest is named
in `Journal.problems`. Any bytes give a `Journal` or one `JournalError`.

Threads and speed: a journal may hold millions of words, so words are sorted out by the functions of
C that work on whole buffers, and Python's own loops run over records, not over words.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import struct
import sys
from array import array
from binascii import crc32
from collections import defaultdict
from dataclasses import dataclass
from enum import IntEnum
from itertools import compress
from typing import TYPE_CHECKING, Final, TypeAlias

from covsup.datafile.errors import (
    JournalDamaged,
    JournalForeign,
    JournalNotBegun,
    JournalUnreadable,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

VERSION: Final = 1
MAGIC: Final = b"COVSUPJ\n"
HEADER_SIZE: Final = 512
LARGEST: Final = 64 << 20
"""No journal of this version is longer, in bytes; of a longer file only so much is read."""

_HEADER: Final = {
    order: struct.Struct(f"{order}8sIIQ16s16sQQQQIIIIIIQQ120xQQQQQIIQ") for order in "<>"
}
_WORD: Final = 8
_CHECKED: Final = slice(8, 248)
_BYTE_ORDER: Final = 0x0102030405060708
_READ_SIZE: Final = 4 << 20


class StartKind(IntEnum):
    """How an image began."""

    SPAWNED = 1  # also: the root of the session
    FORKED = 2
    EXECED = 3


class Core(IntEnum):
    """Where an image's facts come from."""

    MONITORING = 1
    SETTRACE = 2


class EndedHow(IntEnum):
    """By which door a process left."""

    EXIT = 1
    UNDERSCORE_EXIT = 2
    OTHER = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """Who wrote a journal, and how far it is."""

    image_id: str  # 32 hexadecimal digits
    parent_image_id: str | None  # None: unknown
    pid: int
    ppid: int
    start_realtime_ns: int
    start_boottime_ns: int
    generation: int  # 0 first, one more per exec
    start_kind: StartKind
    python_hexversion: int
    core: Core
    branch: bool
    segment: int
    capacity: int  # bytes
    uid: int
    tail: int  # offset in bytes of the first word that was not handed out
    allocated: int  # bytes
    lost_facts: int  # attempts that failed
    lost_events: int
    lost_errno: int  # of the first loss
    lost_stage: int  # of the first loss: see docs/journal-format.md
    threads_started: int  # only the first segment counts them


@dataclass(frozen=True, slots=True, kw_only=True)
class FileDef:
    """A measured file. Text that is no UTF-8 has surrogates, as os.fsdecode() gives them."""

    path: str
    module: str  # "" = unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class AboutToExec:
    """The image was about to become another one; what it did before is complete."""

    at_ns: int
    path: str
    argv: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecFailed:
    """The exec that was announced did not happen; the image went on."""

    at_ns: int
    errno: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Spawned:
    """The image started another program."""

    at_ns: int
    pid: int
    argv: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reaped:
    """The image waited for a child of its own."""

    at_ns: int
    pid: int
    status: int  # as wait() gives it


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """The image was about to end itself."""

    at_ns: int
    how: EndedHow
    status: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LibraryUsed:
    """A concurrency library was imported."""

    at_ns: int
    name: str
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UserTracer:
    """The program installed a tracer of its own."""

    at_ns: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Something the measured side wants to be known."""

    at_ns: int
    text: str


Event: TypeAlias = (
    AboutToExec | ExecFailed | Spawned | Reaped | Ended | LibraryUsed | UserTracer | Note
)


@dataclass(slots=True, kw_only=True)
class Journal:
    """The sound contents of one journal file."""

    header: Header
    files: dict[int, FileDef]
    contexts: dict[int, str]  # 0, the session's static context, is not among them
    lines: dict[tuple[int, int], set[int]]  # (file id, context id): lines
    arcs: dict[tuple[int, int], set[tuple[int, int]]]
    events: list[Event]  # in the order in which they were written
    properties: dict[str, bytes]
    torn: int  # records that were begun and not ended: the process runs, or was killed at it
    problems: list[str]  # damage, each in one line


def read_journal(path: Path) -> Journal:
    """Read the journal at `path`, which may be growing.

    Raises JournalUnreadable, JournalNotBegun, JournalDamaged or JournalForeign.
    """
    try:
        # Not through a link and not waiting for a fifo's other end: it may be somebody's trap.
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        why = "it is a link" if error.errno == errno.ELOOP else error.strerror
        raise JournalUnreadable(f"{path}: cannot be read: {why}") from error
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise JournalUnreadable(f"{path}: cannot be read: it is no regular file")
        header, order = _header_of(path, os.pread(fd, HEADER_SIZE, 0))
        words, problems = _read_words(fd, header.tail, status.st_size)
    except OSError as error:
        raise JournalUnreadable(f"{path}: cannot be read: {error.strerror}") from error
    finally:
        os.close(fd)
    return _Decoder(header, order, words, problems).journal


def _header_of(path: Path, head: bytes) -> tuple[Header, str]:
    """The header, and the byte order of the machine that wrote it, as `struct` names it."""
    order = ">" if head[16:24] == _BYTE_ORDER.to_bytes(8, "big") else "<"
    begun = head.ljust(12, b"\0")
    if begun[:8] == bytes(8) and struct.unpack(f"{order}I", begun[8:12])[0] in (0, VERSION):
        # The magic comes last.
        raise JournalNotBegun(f"{path}: its process began it and wrote nothing")
    if head[:8] != MAGIC:
        raise JournalDamaged(f"{path}: is no journal of covsup's")
    if len(head) < HEADER_SIZE:
        raise JournalDamaged(f"{path}: is cut short within its header")
    fields = _HEADER[order].unpack_from(head)
    (_, version, header_size, byte_order, image, parent, pid, ppid, realtime, boottime) = fields[
        :10
    ]
    (generation, start_kind, python, core, flags, segment, capacity, uid, check) = fields[10:19]
    (tail, allocated, lost_facts, lost_events, lost_errno, lost_stage, threads) = fields[19:]
    if byte_order == _BYTE_ORDER and version != VERSION:
        raise JournalForeign(
            f"{path}: has format {version}, and this covsup reads format {VERSION}:"
            " combine it with the covsup that wrote it",
            version=version,
        )
    if byte_order != _BYTE_ORDER or header_size != HEADER_SIZE or check != crc32(head[_CHECKED]):
        raise JournalDamaged(f"{path}: its header is damaged")
    try:
        header = Header(
            image_id=image.hex(),
            parent_image_id=parent.hex() if any(parent) else None,
            pid=pid,
            ppid=ppid,
            start_realtime_ns=realtime,
            start_boottime_ns=boottime,
            generation=generation,
            start_kind=StartKind(start_kind),
            python_hexversion=python,
            core=Core(core),
            branch=bool(flags & 1),
            segment=segment,
            capacity=capacity,
            uid=uid,
            tail=tail,
            allocated=allocated,
            lost_facts=lost_facts,
            lost_events=lost_events,
            lost_errno=lost_errno,
            lost_stage=lost_stage,
            threads_started=threads,
        )
    except ValueError as error:
        raise JournalDamaged(f"{path}: its header is damaged: {error}") from error
    return header, order


def _read_words(fd: int, tail: int, size: int) -> tuple[bytes, list[str]]:
    """The words up to the tail, or as far as there are any, and what was wrong with them."""
    problems = []
    possible = tail >= HEADER_SIZE and tail % _WORD == 0
    if not possible:
        problems.append(f"its tail is impossible ({tail}): the whole file was searched")
    end = min(tail if possible else size, LARGEST)
    pieces = []
    at = HEADER_SIZE
    while at < end:
        try:
            piece = os.pread(fd, min(_READ_SIZE, end - at), at)
        except OSError as error:
            problems.append(f"it is unreadable from byte {at} on: {error.strerror}")
            break
        if not piece:
            break
        pieces.append(piece)
        at += len(piece)
    if possible and at < tail:
        problems.append(f"it is cut short: {tail - at} of {tail} bytes are missing")
    words = b"".join(pieces)
    return words[: len(words) // _WORD * _WORD], problems


def _numbers(little: bytes) -> Sequence[int]:
    """The words whose little-endian bytes these are."""
    if sys.byteorder == "little":
        return memoryview(little).cast("Q")
    return _swapped(little)


def _swapped(words: bytes) -> array[int]:
    numbers = array("Q", words)
    numbers.byteswap()
    return numbers


def _tags(*tags: int) -> bytes:
    """A table for bytes.translate() that makes 1 of these tags and 0 of all others."""
    return bytes(tag in tags for tag in range(256))


_LINE: Final = _tags(*range(0x10, 0x20))
_ARC: Final = _tags(0x20)
_CONT: Final = _tags(0x30)
# Rare records, each with as many of the words that belong to it as there are.
_RARE: Final = re.compile(rb"\x21\x30?|\x22\x30{0,2}|\x40\x31*")
# What was never written, and what was stored of a record before its head.
_TORN: Final = re.compile(rb"\x00+(?:\x30{1,2}|\x31+)?")


def _mask(bits: int) -> int:
    return (1 << bits) - 1


def _signed(number: int, bits: int) -> int:
    """The two's complement number in the lowest `bits` of `number`."""
    half = 1 << bits - 1
    return (number & _mask(bits) ^ half) - half


class _Decoder:
    """Sorts the words of one journal into a `Journal`."""

    def __init__(self, header: Header, order: str, words: bytes, problems: list[str]) -> None:
        self._order = order
        self._little = words if order == "<" else _swapped(words).tobytes()
        if problems:
            self._little = self._without_end(self._little)
        self._words = _numbers(self._little)
        self._tags = self._little[_WORD - 1 :: _WORD]
        self._damaged_texts = 0
        self._strange: set[str] = set()
        self.journal = Journal(
            header=header,
            files={},
            contexts={},
            lines={},
            arcs={},
            events=[],
            properties={},
            torn=0,
            problems=problems,
        )
        used = self._read_lines() + self._read_arcs() + self._read_rare()
        self._judge(len(self._words) - used)

    @staticmethod
    def _without_end(little: bytes) -> bytes:
        """Without the words at the end that were never written."""
        length = len(little.rstrip(b"\0"))
        return little[: (length + _WORD - 1) // _WORD * _WORD]

    def _read_lines(self) -> int:
        """LINE, a word each; returns how many words that were, as its likes below do."""
        chosen = self._tags.translate(_LINE)
        count = chosen.count(1)
        if count:
            found: defaultdict[int, set[int]] = defaultdict(set)
            owners = compress(self._masked(~(_mask(20) << 22), 0), chosen)
            lines = compress(self._masked(_mask(20), 22), chosen)
            for owner, line in zip(owners, lines, strict=True):
                found[owner].add(line)
            for owner, of_owner in found.items():
                self.journal.lines[owner >> 42 & _mask(18), owner & _mask(22)] = of_owner
        return count

    def _masked(self, mask: int, shift: int) -> Sequence[int]:
        """Each word, shifted down and masked: all of them at once, as one long number."""
        size = len(self._little)
        masks = (mask & _mask(64)).to_bytes(_WORD, "little") * len(self._words)
        shifted = int.from_bytes(self._little, "little") >> shift
        return _numbers((shifted & int.from_bytes(masks, "little")).to_bytes(size, "little"))

    def _read_arcs(self) -> int:
        """ARC, a head and one word of numbers."""
        heads = int.from_bytes(self._tags.translate(_ARC), "little")
        if not heads:
            return 0
        before_numbers = int.from_bytes(self._tags[1:].translate(_CONT), "little")
        chosen = (heads & before_numbers).to_bytes(len(self._tags), "little")
        found: defaultdict[int, set[int]] = defaultdict(set)
        numbers = compress(self._words[1:], chosen)
        for head, pair in zip(compress(self._words, chosen), numbers, strict=True):
            found[head].add(pair)
        half, low = 1 << 27, _mask(28)
        for head, pairs in found.items():
            self.journal.arcs[_owner(head)] = {
                ((pair >> 28 & low ^ half) - half, (pair & low ^ half) - half) for pair in pairs
            }
        return 2 * chosen.count(1)

    def _read_rare(self) -> int:
        """LINE_WIDE, ARC_WIDE and BLOB."""
        used = 0
        for match in _RARE.finditer(self._tags):
            at = match.start()
            head = self._words[at]
            rest = len(match[0]) - 1
            match self._tags[at]:
                case 0x21 if rest == 1:
                    line = self._words[at + 1] & _mask(56)
                    self.journal.lines.setdefault(_owner(head), set()).add(line)
                    used += 2
                case 0x22 if rest == 2:
                    ends = (_signed(self._words[at + n], 56) for n in (1, 2))
                    self.journal.arcs.setdefault(_owner(head), set()).add((next(ends), next(ends)))
                    used += 3
                case 0x40:
                    used += 1 + self._read_blob(at, head, rest)
                case _:
                    pass  # its numbers are gone; what is left is counted as damage
        return used

    def _read_blob(self, at: int, head: int, available: int) -> int:
        """The blob whose head is word `at`; returns how many words after it are its own."""
        length = head >> 24 & _mask(24)
        needed = -(-length // 7)
        if needed > available:
            self._damaged_texts += 1
            return available
        start = (at + 1) * _WORD
        payload = bytearray(self._little[start : start + needed * _WORD])
        del payload[_WORD - 1 :: _WORD]  # the tags
        del payload[length:]
        if crc32(payload) & _mask(24) != head & _mask(24):
            self._damaged_texts += 1
            return needed
        try:
            self._use_blob(head >> 48 & 0xFF, bytes(payload))
        except (ValueError, struct.error):
            self._damaged_texts += 1
        return needed

    def _use_blob(self, kind: int, payload: bytes) -> None:
        """Raises ValueError or struct.error for a payload that is not what its kind promises."""
        match kind:
            case 1:
                path, module = payload[4:].split(b"\0")
                if not path:
                    raise ValueError("a file without a name")
                definition = FileDef(path=_text(path), module=_text(module))
                self.journal.files[self._unpack("I", payload)[0]] = definition
            case 2:
                self.journal.contexts[self._unpack("I", payload)[0]] = _text(payload[4:])
            case 3:
                (event, at_ns) = self._unpack("IQ", payload)
                self._use_event(event, at_ns, payload[12:])
            case 4:
                key, _, value = payload.partition(b"\0")
                self.journal.properties[_text(key)] = value
            case _:
                self._strange.add(f"it holds texts of an unknown kind ({kind})")

    def _use_event(self, kind: int, at_ns: int, payload: bytes) -> None:
        event: Event
        match kind:
            case 1:
                path, _, argv = payload.partition(b"\0")
                event = AboutToExec(at_ns=at_ns, path=_text(path), argv=_items(argv))
            case 2:
                event = ExecFailed(at_ns=at_ns, errno=self._unpack("i", payload)[0])
            case 3:
                pid = self._unpack("I", payload)[0]
                event = Spawned(at_ns=at_ns, pid=pid, argv=_items(payload[4:]))
            case 4:
                pid, status = self._unpack("Ii", payload)
                event = Reaped(at_ns=at_ns, pid=pid, status=status)
            case 5:
                how, status = self._unpack("Bi", payload)
                event = Ended(at_ns=at_ns, how=EndedHow(how), status=status)
            case 6:
                name, _, version = payload.partition(b"\0")
                event = LibraryUsed(at_ns=at_ns, name=_text(name), version=_text(version))
            case 7:
                event = UserTracer(at_ns=at_ns, text=_text(payload))
            case 8:
                event = Note(at_ns=at_ns, text=_text(payload))
            case _:
                self._strange.add(f"it holds events of an unknown kind ({kind})")
                return
        self.journal.events.append(event)

    def _unpack(self, format_: str, payload: bytes) -> tuple[int, ...]:
        """The numbers at the start of a payload: of the writer's byte order, without padding."""
        return struct.unpack_from(f"{self._order}{format_}", payload)

    def _judge(self, unused: int) -> None:
        """Say what the words are that belong to no record."""
        if unused:
            for match in _TORN.finditer(self._tags):
                self.journal.torn += 1
                unused -= len(match[0])
        if unused:
            self._strange.add(f"{unused} of its {len(self._words)} words make no sense")
        if self._damaged_texts:
            self._strange.add(f"{self._damaged_texts} of its texts are damaged")
        self.journal.problems.extend(sorted(self._strange))


def _owner(head: int) -> tuple[int, int]:
    """The file id and the context id in the first word of a record."""
    return (head >> 32 & _mask(24), head & _mask(32))


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


def _items(raw: bytes) -> tuple[str, ...]:
    """The items of a NUL-separated list; nothing at all is no item."""
    return tuple(map(_text, raw.split(b"\0"))) if raw else ()
