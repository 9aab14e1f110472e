"""Read a journal: what one process image executed and what happened to it.

docs/journal-format.md describes the format. A journal may be read while its process writes it, after
the process was killed, and when the file is damaged: what is intact is used, and the rest is listed
in `Journal.problems`. Any bytes give a `Journal` or one `JournalError`.

A journal may hold millions of words, so the extension `_fold` decodes them, in C.
"""

from __future__ import annotations

import errno
import os
import stat
import struct

from covsup.datafile._fold import (
    BLOB_CLAIM,
    BLOB_EVENT,
    JOURNAL_HEADER_SIZE,
    JOURNAL_LONGEST,
    RECORD_WORD_SIZE,
    JournalFacts,
    decode_words,
    read_intact,
)
from covsup.datafile.errors import (
    JournalDamaged,
    JournalError,
    JournalNotBegun,
    JournalUnreadable,
    JournalVersionUnsupported,
)
from covsup.datafile.fold.sets import LARGEST_LINE, arcs_in, lines_in
from covsup.datafile.journal.events import decode_event, decode_text
from covsup.datafile.journal.header import CORES, KINDS, NATIVE, Header, read_header
from covsup.hints import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path
    from typing import Final, TypeAlias

    from covsup.datafile.fold.sets import Arc
    from covsup.datafile.journal.events import Event

    OwnerCheck: TypeAlias = Callable[[int], None]

MEMORY_LIMIT: Final = 1 << 30
"""What the facts of one journal may cost, in bytes, approximately. Real ones need far less."""

_SLOT_LIMIT: Final = JOURNAL_LONGEST // (2 * JOURNAL_HEADER_SIZE)
"""More slots than any journal has."""

_READ_SIZE: Final = 4 << 20


class FileDef(NamedTuple):
    """A measured file. Bytes of its names that are not UTF-8 are surrogates."""

    path: str
    module: str  # "" = unknown
    version: str = ""  # of the file, when its code first ran; "" = unknown


def split_module(text: str) -> tuple[str, str]:
    """The module's name and the source's version in the last part of a FILE blob. "" = unknown."""
    name, _, version = text.partition("\n")
    return name, version


class Journal(NamedTuple):
    """The intact contents of one journal file.

    The properties `files`, `contexts`, `lines` and `arcs` make new values at each call. The fold
    takes `facts` as they are.
    """

    header: Header
    facts: JournalFacts
    events: list[Event]  # in the order in which they were written
    properties: dict[str, bytes]
    claims: set[tuple[str, str]]  # paths of files, and the plugins that trace them
    torn: int  # records that were begun and not finished: the process runs, or was killed
    problems: list[str]  # damage, one line each

    @property
    def files(self) -> dict[int, FileDef]:
        """The files by their ids."""
        return {
            file_id: FileDef(decode_text(path), *split_module(decode_text(module)))
            for file_id, path, module in self.facts.files()
        }

    @property
    def contexts(self) -> dict[int, str]:
        """The labels by their ids. The session's static context, 0, is not among them."""
        return {context_id: decode_text(label) for context_id, label in self.facts.contexts()}

    @property
    def lines(self) -> dict[tuple[int, int], set[int]]:
        """The lines by file id and context id."""
        found = {key: set(lines_in(bits)) for key, bits in self.facts.lines().items()}
        for file_id, context_id, *numbers in self.facts.out_of_range():
            if len(numbers) == 1:
                found.setdefault((file_id, context_id), set()).add(numbers[0])
        return found

    @property
    def arcs(self) -> dict[tuple[int, int], set[Arc]]:
        """The arcs by file id and context id."""
        found = {key: set(arcs_in(arcs)) for key, arcs in self.facts.arcs().items()}
        for file_id, context_id, *numbers in self.facts.out_of_range():
            if len(numbers) == 2:
                found.setdefault((file_id, context_id), set()).add((numbers[0], numbers[1]))
        return found


class Slots(NamedTuple):
    """The journals of forked processes that could not create a file, in their parent's file."""

    journals: list[Journal]
    problems: list[str]  # slots that cannot be used, one line each
    not_begun: int  # slots that were handed out and in which nothing is written


def read_journal(
    path: str | Path, owner: int | None = None, check_owner: Callable[[int], None] | None = None
) -> Journal:
    """Read the journal at `path`, which may be growing.

    A file that neither root nor the user `owner` owns is read if `check_owner`, called with its
    owner's id, does not raise. None: a file of any user is read. Raises JournalUnreadable,
    JournalNotBegun, JournalDamaged or JournalVersionUnsupported.
    """
    intact = read_intact(path, owner, LARGEST_LINE, MEMORY_LIMIT, KINDS, CORES)
    if intact is not None:
        fields, facts = intact
        header = Header._make(fields)
        words = (header.tail - JOURNAL_HEADER_SIZE) // RECORD_WORD_SIZE
        return _journal_with(header, facts, NATIVE, words, [])
    return read_any_journal(path, check_owner)


def read_any_journal(path: str | Path, check_owner: Callable[[int], None] | None = None) -> Journal:
    """Read the journal at `path` in the way that also reads damaged ones. Raises as read_journal."""
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
                problems.append(f"{path}: the journal at byte {offset} belongs to another place")
    return Slots(journals=journals, problems=problems, not_begun=not_begun)


def read_until(
    path: str | Path, tails: Mapping[int, int], owner_check: OwnerCheck
) -> list[Journal]:
    """The journals in the file at `path` as they were earlier: up to these tails, by their offsets.

    Those that had not begun are left out. Raises JournalError for a file that cannot be read, as
    read_journal.
    """
    journals: list[Journal] = []
    with _Opened(path, owner_check) as (fd, size):
        for offset, tail in sorted(tails.items()):
            if tail <= JOURNAL_HEADER_SIZE:
                continue
            header, order = read_header(path, os.pread(fd, JOURNAL_HEADER_SIZE, offset))
            whole_words = tail - tail % RECORD_WORD_SIZE  # the tail may be of another user's mark
            earlier = header._replace(tail=min(whole_words, header.tail))
            words, problems = _read_words(fd, earlier, offset, size)
            journals.append(journal_of(earlier, order, words, problems))
    return journals


def read_borrowers(path: str | Path) -> frozenset[tuple[int, str]]:
    """The pids and images that have journals in slots of the file at `path` now.

    Empty for a file that cannot be read: read_journal() reports that to its caller.
    """
    found = set()
    try:
        with _Opened(path) as (fd, _):
            header, _ = read_header(path, os.pread(fd, JOURNAL_HEADER_SIZE, 0))
            for offset in _slots_of(header):
                try:
                    borrower, _ = read_header(path, os.pread(fd, JOURNAL_HEADER_SIZE, offset))
                except JournalError:
                    continue
                found.add((borrower.pid, borrower.image_id))
    except JournalError:
        pass
    return frozenset(found)


def used_ranges(path: str | Path, descriptor: int) -> list[tuple[int, int]]:
    """Offsets and lengths, in bytes, of what is in use of an open journal. The rest is empty.

    `path` is for messages. Raises JournalError, OSError.
    """
    size = os.fstat(descriptor).st_size
    header, _ = read_header(path, os.pread(descriptor, JOURNAL_HEADER_SIZE, 0))
    ranges = [_used(header, 0, min(header.capacity, size))]
    for offset in _slots_of(header):
        room = min(header.slot_size, size - offset)
        try:
            borrower, _ = read_header(path, os.pread(descriptor, JOURNAL_HEADER_SIZE, offset))
            ranges.append(_used(borrower, offset, room))
        except JournalNotBegun:
            continue
        except JournalError:
            ranges.append((offset, room))  # keep a damaged slot as it is
    return ranges


def _used(header: Header, offset: int, room: int) -> tuple[int, int]:
    """What the journal at `offset` uses of its `room`: all of it if its tail is impossible."""
    is_possible = _is_possible_tail(header.tail) and header.tail <= room
    return offset, header.tail if is_possible else room


def _is_possible_tail(tail: int) -> bool:
    return tail >= JOURNAL_HEADER_SIZE and tail % RECORD_WORD_SIZE == 0


def _slots_of(header: Header) -> range:
    """The offsets of the slots that were handed out."""
    if not 0 < header.slots_at <= JOURNAL_LONGEST or header.slot_size < JOURNAL_HEADER_SIZE:
        return range(0)
    used = min(header.slots_used, header.slot_count, _SLOT_LIMIT)
    return range(header.slots_at, header.slots_at + used * header.slot_size, header.slot_size)


def open_journal(
    path: str | Path, check_owner: Callable[[int], None] | None = None
) -> tuple[int, os.stat_result]:
    """A descriptor of a regular file, and its status. Raises JournalUnreadable.

    `check_owner` is called with its owner's id, and may raise.
    """
    try:
        # Another user may have put a link or a fifo there: follow none and wait for none.
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        why = "it is a link" if error.errno == errno.ELOOP else error.strerror
        raise JournalUnreadable(f"{path}: cannot be read: {why}") from error
    try:
        status = os.fstat(fd)
        _check_status(path, status, check_owner)
    except OSError as error:
        os.close(fd)
        raise JournalUnreadable(f"{path}: cannot be read: {error.strerror}") from error
    except BaseException:
        os.close(fd)
        raise
    return fd, status


def _check_status(
    path: str | Path, status: os.stat_result, check_owner: Callable[[int], None] | None
) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise JournalUnreadable(f"{path}: cannot be read: it is not a regular file")
    if check_owner is not None:
        check_owner(status.st_uid)


class _Opened:
    """A descriptor of a regular file, and its size in bytes. Its OSErrors become JournalUnreadable.

    A class, because a generator costs three times as much and there may be thousands.
    """

    __slots__ = ("_check_owner", "_fd", "_path")

    def __init__(self, path: str | Path, check_owner: Callable[[int], None] | None = None) -> None:
        self._path = path
        self._check_owner = check_owner

    def __enter__(self) -> tuple[int, int]:
        self._fd, status = open_journal(self._path, self._check_owner)
        return self._fd, status.st_size

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        os.close(self._fd)
        if isinstance(error, OSError):
            why = error.strerror
            raise JournalUnreadable(f"{self._path}: cannot be read: {why}") from error


def _read_one(path: str | Path, fd: int, offset: int, size: int) -> Journal:
    """The journal that begins at `offset` in a file of `size` bytes."""
    header, order = read_header(path, os.pread(fd, JOURNAL_HEADER_SIZE, offset))
    words, problems = _read_words(fd, header, offset, size)
    return journal_of(header, order, words, problems)


def journal_of(header: Header, order: str, words: bytes, problems: list[str]) -> Journal:
    """The journal with this header, these words, and `order` as its byte order.

    `problems` are those that are known already. With any, the words may be followed by zeros.
    """
    if problems:
        length = len(words.rstrip(b"\0"))
        words = words[: (length + RECORD_WORD_SIZE - 1) // RECORD_WORD_SIZE * RECORD_WORD_SIZE]
    facts = decode_words(words, order != NATIVE, header.version, LARGEST_LINE, MEMORY_LIMIT)
    return _journal_with(header, facts, order, len(words) // RECORD_WORD_SIZE, problems)


def _journal_with(
    header: Header, facts: JournalFacts, order: str, words: int, problems: list[str]
) -> Journal:
    """The journal of `words` words, which say `facts`."""
    torn, stray_words, damaged, left_out = facts.counts()
    blobs = _Blobs(order, facts.blobs())
    damaged += blobs.damaged
    new = blobs.unknown
    if stray_words:
        new.add(f"{stray_words} of its {words} words make no sense")
    if damaged:
        new.add(f"{damaged} of its texts are damaged")
    if left_out:
        new.add(f"{left_out} facts are left out: they would need more than {MEMORY_LIMIT} bytes")
    return Journal(
        header=header,
        facts=facts,
        events=blobs.events,
        properties=facts.properties(),
        claims=blobs.claims,
        torn=torn,
        problems=[*problems, *sorted(new)],
    )


def _read_words(fd: int, header: Header, offset: int, size: int) -> tuple[bytes, list[str]]:
    """The words up to the tail, or as many as there are, and what was wrong with them.

    The journal begins at `offset` in a file of `size` bytes.
    """
    problems = []
    tail = header.tail
    room = min(size - offset, header.capacity)
    is_possible = _is_possible_tail(tail)
    if not is_possible:
        problems.append(f"its tail is impossible ({tail}): the whole file was searched")
    end = min(tail if is_possible else room, room, JOURNAL_LONGEST)
    pieces = []
    at = JOURNAL_HEADER_SIZE
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
    if is_possible and at < tail:
        problems.append(f"it is cut short: {tail - at} of {tail} bytes are missing")
    words = b"".join(pieces)
    return words[: len(words) // RECORD_WORD_SIZE * RECORD_WORD_SIZE], problems


class _Blobs:
    """The blobs of one journal that define no files and contexts and are not properties."""

    def __init__(self, order: str, blobs: list[tuple[int, bytes]]) -> None:
        self.events: list[Event] = []
        self.claims: set[tuple[str, str]] = set()
        self.damaged = 0
        self.unknown: set[str] = set()
        for kind, payload in blobs:
            try:
                self._add(order, kind, payload)
            except (ValueError, struct.error):
                self.damaged += 1

    def _add(self, order: str, kind: int, payload: bytes) -> None:
        """Raises ValueError or struct.error for a payload that does not have the form of its kind."""
        if kind == BLOB_EVENT:
            event = decode_event(order, payload)
            if isinstance(event, int):
                self.unknown.add(f"it holds events of an unknown kind ({event})")
            else:
                self.events.append(event)
        elif kind == BLOB_CLAIM:
            path, plugin = payload.decode().split("\0")  # only UTF-8 was stored
            self.claims.add((path, plugin))
        else:
            self.unknown.add(f"it holds texts of an unknown kind ({kind})")
