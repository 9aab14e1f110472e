"""Read a journal: what one process image executed and what happened to it.

The format is described in docs/journal-format.md. A journal may be read while its process writes
it, after it was killed, and when the file was damaged: whatever is sound is used, the rest is named
in `Journal.problems`. Any bytes give a `Journal` or one `JournalError`.

A journal may hold millions of words. `covsup.datafile._fold` sorts them, in C; here are the header
and the texts, of which there are few.
"""

from __future__ import annotations

import errno
import os
import stat
import struct
import sys
from binascii import crc32
from enum import IntEnum

from covsup.datafile._fold import JournalFacts, read_intact, sort
from covsup.datafile.errors import (
    JournalDamaged,
    JournalError,
    JournalNotBegun,
    JournalUnreadable,
    JournalVersionUnsupported,
)
from covsup.datafile.fold.sets import LARGEST_LINE, arcs_in, lines_in
from covsup.hints import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Final, TypeAlias

    from covsup.datafile.fold.sets import Arc

VERSION: Final = 2
"""The format that is written now; earlier ones are read as well."""
MAGIC: Final = b"COVSUPJ\n"
HEADER_SIZE: Final = 512
LARGEST_JOURNAL: Final = 64 << 20
"""No journal of this version is longer, in bytes; of a longer file only so much is read."""
_SLOT_LIMIT: Final = LARGEST_JOURNAL // (2 * HEADER_SIZE)

MEMORY_LIMIT: Final = 1 << 30
"""What the facts of one journal may cost, in bytes, about; a sound one needs far less."""

_NATIVE: Final = "<" if sys.byteorder == "little" else ">"
_HEADER: Final = {
    order: struct.Struct(f"{order}8sIIQ16s16sQQQQIIIIIIQQQQII96xQQQQQIIQQQQII") for order in "<>"
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


_KINDS: Final = tuple(StartKind)
_CORES: Final = tuple(Core)
_NO_IMAGE: Final = bytes(16)


class EndedHow(IntEnum):
    """By which door a process left."""

    EXIT = 1
    UNDERSCORE_EXIT = 2
    OTHER = 3
    SIGNAL = 4
    """By its default action; the status is the signal's number."""


class Header(NamedTuple):
    """Who wrote a journal, and how far it is. A tuple, of which thousands are made quickly."""

    version: int  # of the format
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
    capacity: int  # bytes, for the header and the words
    uid: int
    offset: int  # in bytes: 0, or where the slot begins that holds this journal
    slots_at: int  # in bytes: where in its file the first slot begins, 0 = it has none
    slot_size: int  # bytes
    slot_count: int
    tail: int  # offset in bytes of the first word that was not handed out
    allocated: int  # bytes
    lost_facts: int  # attempts that failed
    lost_events: int
    lost_errno: int  # of the first loss
    lost_stage: int  # of the first loss: see docs/journal-format.md
    threads_started: int  # only the first segment counts them
    slots_used: int  # how many were handed out
    forks_lost_facts: int  # by forked processes while they had no journal at all
    forks_lost_events: int
    forks_lost_errno: int  # of the first of these losses
    forks_lost_stage: int


class FileDef(NamedTuple):
    """A measured file. Text that is no UTF-8 has surrogates, as os.fsdecode() gives them."""

    path: str
    module: str  # "" = unknown
    version: str = ""  # of the file, as it was found when its code ran first; "" = unknown


def split_module(text: str) -> tuple[str, str]:
    """What FILE says of a module: its name, and the version of its source, each "" if unknown."""
    name, _, version = text.partition("\n")
    return name, version


class AboutToExec(NamedTuple):
    """The image was about to become another one; what it did before is complete."""

    at_ns: int
    path: str
    argv: tuple[str, ...]


class ExecFailed(NamedTuple):
    """The exec that was announced did not happen; the image went on."""

    at_ns: int
    errno: int


class Spawned(NamedTuple):
    """The image started another program."""

    at_ns: int
    pid: int
    argv: tuple[str, ...]


class Reaped(NamedTuple):
    """The image waited for a child of its own."""

    at_ns: int
    pid: int
    status: int  # as wait() gives it


class Ended(NamedTuple):
    """The image was about to end itself."""

    at_ns: int
    how: EndedHow
    status: int


class Unexecuted(NamedTuple):
    """A child of the image, told of as spawned, could not execute its program, and ended."""

    at_ns: int
    pid: int


class LibraryUsed(NamedTuple):
    """A concurrency library was imported."""

    at_ns: int
    name: str
    version: str


class UserTracer(NamedTuple):
    """The program installed a tracer of its own."""

    at_ns: int
    text: str


class Note(NamedTuple):
    """Something the measured side wants to be known."""

    at_ns: int
    text: str


Event: TypeAlias = (
    AboutToExec
    | ExecFailed
    | Spawned
    | Unexecuted
    | Reaped
    | Ended
    | LibraryUsed
    | UserTracer
    | Note
)


class Journal(NamedTuple):
    """The sound contents of one journal file.

    The views (`files`, `contexts`, `lines`, `arcs`) are made anew at each look; the fold takes
    `facts` as they are.
    """

    header: Header
    facts: JournalFacts
    events: list[Event]  # in the order in which they were written
    properties: dict[str, bytes]
    claims: set[tuple[str, str]]  # paths of files and the plugins that told their facts
    torn: int  # records that were begun and not ended: the process runs, or was killed at it
    problems: list[str]  # damage, each in one line

    @property
    def files(self) -> dict[int, FileDef]:
        """The files by their ids."""
        return {
            file_id: FileDef(_text(path), *split_module(_text(module)))
            for file_id, path, module in self.facts.files()
        }

    @property
    def contexts(self) -> dict[int, str]:
        """The labels by their ids; 0, the session's static context, is not among them."""
        return {context_id: _text(label) for context_id, label in self.facts.contexts()}

    @property
    def lines(self) -> dict[tuple[int, int], set[int]]:
        """The lines by file id and context id."""
        found = {key: set(lines_in(bits)) for key, bits in self.facts.lines().items()}
        for file_id, context_id, *numbers in self.facts.far():
            if len(numbers) == 1:
                found.setdefault((file_id, context_id), set()).add(numbers[0])
        return found

    @property
    def arcs(self) -> dict[tuple[int, int], set[Arc]]:
        """The arcs by file id and context id."""
        found = {key: set(arcs_in(arcs)) for key, arcs in self.facts.arcs().items()}
        for file_id, context_id, *numbers in self.facts.far():
            if len(numbers) == 2:
                found.setdefault((file_id, context_id), set()).add((numbers[0], numbers[1]))
        return found


class Slots(NamedTuple):
    """The journals of forked processes that could make no file, in the file of another one."""

    journals: list[Journal]
    problems: list[str]  # slots that cannot be used, each in one line
    not_begun: int  # handed out, and their processes have written nothing yet, or never will


def read_journal(
    path: str | Path, owner: int | None = None, check_owner: Callable[[int], None] | None = None
) -> Journal:
    """Read the journal at `path`, which may be growing.

    A file of another user than root and `owner` is read if `check_owner`, given that user's id,
    does not raise; None: of any user. Raises JournalUnreadable, JournalNotBegun, JournalDamaged or
    JournalVersionUnsupported.
    """
    sound = read_intact(path, owner, VERSION, LARGEST_LINE, MEMORY_LIMIT, _KINDS, _CORES)
    if sound is not None:
        fields, facts = sound
        header = Header._make(fields)
        return _journal_with(header, facts, _NATIVE, (header.tail - HEADER_SIZE) // _WORD, [])
    return read_any_journal(path, check_owner)


def read_any_journal(path: str | Path, check_owner: Callable[[int], None] | None = None) -> Journal:
    """The same step by step, be it sound or not."""
    with _Opened(path, check_owner) as (fd, size):
        return _read_one(path, fd, 0, size)


def read_slots(path: str | Path, header: Header) -> Slots:
    """Read the journals in the slots of the file at `path`, whose header is `header`.

    Raises JournalUnreadable.
    """
    journals: list[Journal] = []
    problems: list[str] = []
    not_begun = 0
    with _Opened(path) as (fd, size):
        for offset in _slots_of(header):
            try:
                journal = _read_one(path, fd, offset, size)
            except JournalNotBegun:
                not_begun += 1
                continue
            except (JournalDamaged, JournalVersionUnsupported) as error:
                problems.append(f"{error} (the journal at byte {offset})")
                continue
            if journal.header.offset == offset:
                journals.append(journal)
            else:
                problems.append(f"{path}: the journal at byte {offset} is not of this place")
    return Slots(journals=journals, problems=problems, not_begun=not_begun)


def read_borrowers(path: str | Path) -> frozenset[tuple[int, str]]:
    """The pids and images that have journals in slots of the file at `path`, as it is now."""
    found = set()
    try:
        with _Opened(path) as (fd, _):
            header, _ = _header_of(path, os.pread(fd, HEADER_SIZE, 0))
            for offset in _slots_of(header):
                try:
                    lodger, _ = _header_of(path, os.pread(fd, HEADER_SIZE, offset))
                except JournalError:
                    continue
                found.add((lodger.pid, lodger.image_id))
    except JournalError:
        pass  # who reads it is told
    return frozenset(found)


def used_ranges(path: str | Path, descriptor: int) -> list[tuple[int, int]]:
    """Offsets and lengths of all that an open journal holds: the rest of its file is empty.

    `path` is for messages. Raises JournalError, and OSError.
    """
    size = os.fstat(descriptor).st_size
    header, _ = _header_of(path, os.pread(descriptor, HEADER_SIZE, 0))
    parts = [_used(header, 0, min(header.capacity, size))]
    for offset in _slots_of(header):
        room = min(header.slot_size, size - offset)
        try:
            lodger, _ = _header_of(path, os.pread(descriptor, HEADER_SIZE, offset))
            parts.append(_used(lodger, offset, room))
        except JournalNotBegun:
            continue
        except JournalError:
            parts.append((offset, room))  # whatever it is, it is kept
    return parts


def _used(header: Header, offset: int, room: int) -> tuple[int, int]:
    """Where the journal at `offset` is, all of `room` if its tail is impossible."""
    sound = HEADER_SIZE <= header.tail <= room and header.tail % _WORD == 0
    return offset, header.tail if sound else room


def _slots_of(header: Header) -> range:
    """Where the slots begin that were handed out."""
    if not 0 < header.slots_at <= LARGEST_JOURNAL or header.slot_size < HEADER_SIZE:
        return range(0)
    used = min(header.slots_used, header.slot_count, _SLOT_LIMIT)
    return range(header.slots_at, header.slots_at + used * header.slot_size, header.slot_size)


class _Opened:
    """A descriptor of a regular file, and its size; what fails is a JournalUnreadable.

    A class, for there may be thousands, and a generator costs three times as much.
    """

    __slots__ = ("_check_owner", "_fd", "_path")

    def __init__(self, path: str | Path, check_owner: Callable[[int], None] | None = None) -> None:
        self._path = path
        self._check_owner = check_owner

    def __enter__(self) -> tuple[int, int]:
        path = self._path
        try:
            # Not through a link and not waiting for a fifo's other end: it may be somebody's trap.
            self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError as error:
            why = "it is a link" if error.errno == errno.ELOOP else error.strerror
            raise JournalUnreadable(f"{path}: cannot be read: {why}") from error
        try:
            status = os.fstat(self._fd)
        except OSError as error:
            self.__exit__(None, error, None)
            raise
        if not stat.S_ISREG(status.st_mode):
            os.close(self._fd)
            raise JournalUnreadable(f"{path}: cannot be read: it is no regular file")
        if self._check_owner is not None:
            try:
                self._check_owner(status.st_uid)
            except BaseException:
                os.close(self._fd)
                raise
        return self._fd, status.st_size

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        os.close(self._fd)
        if isinstance(error, OSError):
            why = error.strerror
            raise JournalUnreadable(f"{self._path}: cannot be read: {why}") from error


def _read_one(path: str | Path, fd: int, offset: int, size: int) -> Journal:
    """The journal that begins at `offset` in a file of `size` bytes."""
    header, order = _header_of(path, os.pread(fd, HEADER_SIZE, offset))
    words, problems = _read_words(fd, header, offset, size)
    return journal_of(header, order, words, problems)


def journal_of(header: Header, order: str, words: bytes, problems: list[str]) -> Journal:
    """The journal with this header, of the byte order `order`, and these words.

    `problems` are what is already known to be wrong: then the words may go on after the last one.
    """
    if problems:
        length = len(words.rstrip(b"\0"))
        words = words[: (length + _WORD - 1) // _WORD * _WORD]
    facts = sort(words, order != _NATIVE, header.version, LARGEST_LINE, MEMORY_LIMIT)
    return _journal_with(header, facts, order, len(words) // _WORD, problems)


def _journal_with(
    header: Header, facts: JournalFacts, order: str, words: int, problems: list[str]
) -> Journal:
    """The journal of `words` words that were sorted into `facts`."""
    torn, senseless, damaged, left_out = facts.counts()
    texts = _Texts(order, facts.texts())
    damaged += texts.damaged
    said = texts.strange
    if senseless:
        said.add(f"{senseless} of its {words} words make no sense")
    if damaged:
        said.add(f"{damaged} of its texts are damaged")
    if left_out:
        said.add(f"{left_out} facts are left out: they would need more than {MEMORY_LIMIT} bytes")
    return Journal(
        header=header,
        facts=facts,
        events=texts.events,
        properties=facts.properties(),
        claims=texts.claims,
        torn=torn,
        problems=[*problems, *sorted(said)],
    )


def _header_of(path: str | Path, head: bytes) -> tuple[Header, str]:
    """The header, and the byte order of the machine that wrote it, as `struct` names it."""
    order = ">" if head[16:24] == _BYTE_ORDER.to_bytes(8, "big") else "<"
    begun = head.ljust(12, b"\0")
    if begun[:8] == bytes(8) and struct.unpack(f"{order}I", begun[8:12])[0] <= VERSION:
        # The magic comes last.
        raise JournalNotBegun(f"{path}: its process began it and wrote nothing")
    if head[:8] != MAGIC:
        raise JournalDamaged(f"{path}: is no journal of covsup's")
    if len(head) < HEADER_SIZE:
        raise JournalDamaged(f"{path}: is cut short within its header")
    (
        _, version, header_size, byte_order, image, parent, pid, ppid, realtime, boottime,
        generation, start_kind, python, core, flags, segment, capacity, uid,
        offset, slots_at, slot_size, slot_count, check,
        tail, allocated, lost_facts, lost_events, lost_errno, lost_stage, threads,
        slots_used, forks_lost_facts, forks_lost_events, forks_errno, forks_stage,
    ) = _HEADER[order].unpack_from(head)  # fmt: skip
    if byte_order == _BYTE_ORDER and not 1 <= version <= VERSION:
        raise JournalVersionUnsupported(
            f"{path}: has format {version}, and this covsup reads formats 1 to {VERSION}:"
            " combine it with the covsup that wrote it",
            version=version,
        )
    if byte_order != _BYTE_ORDER or header_size != HEADER_SIZE or check != crc32(head[_CHECKED]):
        raise JournalDamaged(f"{path}: its header is damaged")
    try:
        header = Header(
            version=version,
            image_id=image.hex(),
            parent_image_id=parent.hex() if parent != _NO_IMAGE else None,
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
            offset=offset,
            slots_at=slots_at,
            slot_size=slot_size,
            slot_count=slot_count,
            tail=tail,
            allocated=allocated,
            lost_facts=lost_facts,
            lost_events=lost_events,
            lost_errno=lost_errno,
            lost_stage=lost_stage,
            threads_started=threads,
            slots_used=slots_used,
            forks_lost_facts=forks_lost_facts,
            forks_lost_events=forks_lost_events,
            forks_lost_errno=forks_errno,
            forks_lost_stage=forks_stage,
        )
    except ValueError as error:
        raise JournalDamaged(f"{path}: its header is damaged: {error}") from error
    return header, order


def _read_words(fd: int, header: Header, offset: int, size: int) -> tuple[bytes, list[str]]:
    """The words up to the tail, or as far as there are any, and what was wrong with them.

    The journal begins at `offset` in a file of `size` bytes.
    """
    problems = []
    tail = header.tail
    room = min(size - offset, header.capacity)
    possible = tail >= HEADER_SIZE and tail % _WORD == 0
    if not possible:
        problems.append(f"its tail is impossible ({tail}): the whole file was searched")
    end = min(tail if possible else room, room, LARGEST_JOURNAL)
    pieces = []
    at = HEADER_SIZE
    while at < end:
        try:
            piece = os.pread(fd, min(_READ_SIZE, end - at), offset + at)
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


class _Texts:
    """The texts of one journal that are neither files, contexts nor properties."""

    def __init__(self, order: str, texts: list[tuple[int, bytes]]) -> None:
        self._order = order
        self.events: list[Event] = []
        self.claims: set[tuple[str, str]] = set()
        self.damaged = 0
        self.strange: set[str] = set()
        for kind, payload in texts:
            try:
                self._use(kind, payload)
            except (ValueError, struct.error):
                self.damaged += 1

    def _use(self, kind: int, payload: bytes) -> None:
        """Raises ValueError or struct.error for a payload that is not what its kind promises."""
        match kind:
            case 3:
                (event, at_ns) = self._unpack("IQ", payload)
                self._use_event(event, at_ns, payload[12:])
            case 5:
                path, plugin = payload.decode().split("\0")  # strict: neither is stored otherwise
                self.claims.add((path, plugin))
            case _:
                self.strange.add(f"it holds texts of an unknown kind ({kind})")

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
            case 9:
                event = Unexecuted(at_ns=at_ns, pid=self._unpack("I", payload)[0])
            case _:
                self.strange.add(f"it holds events of an unknown kind ({kind})")
                return
        self.events.append(event)

    def _unpack(self, format_: str, payload: bytes) -> tuple[int, ...]:
        """The numbers at the start of a payload: of the writer's byte order, without padding."""
        return struct.unpack_from(f"{self._order}{format_}", payload)


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


def _items(raw: bytes) -> tuple[str, ...]:
    """The items of a NUL-separated list; nothing at all is no item."""
    return tuple(map(_text, raw.split(b"\0"))) if raw else ()
