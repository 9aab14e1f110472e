"""One journal that may grow: what was written since the last look.

Must never know: what the words say.
"""

from __future__ import annotations

import struct
from operator import attrgetter
from typing import TYPE_CHECKING, Final

from covsup.datafile import _fold
from covsup.datafile._fold import JOURNAL_HEADER_SIZE, JOURNAL_VERSION, RECORD_WORD_SIZE
from covsup.datafile.errors import JournalDamaged
from covsup.datafile.journal.header import NATIVE, read_header
from covsup.datafile.journal.reader import journal_of
from covsup.hints import NamedTuple

if TYPE_CHECKING:
    from covsup.datafile.journal.events import Event
    from covsup.datafile.journal.header import Header
    from covsup.datafile.journal.reader import Journal
    from covsup.views.model.descriptors import HeldFile

_NAMES: Final = [name for name, _, _ in _fold.HEADER_LAYOUT]
_CHANGING: Final = _NAMES[_NAMES.index("tail") :]
_CHANGING_AT: Final = next(at for name, at, _ in _fold.HEADER_LAYOUT if name == "tail")
_CHANGING_STRUCT: Final = struct.Struct(
    "="
    + "".join(
        "Q" if size == 8 else "I" for _, at, size in _fold.HEADER_LAYOUT if at >= _CHANGING_AT
    )
)
"""The part of a header that changes while its process runs: the last fields, without gaps."""

_CHANGING_VALUES: Final = attrgetter(*_CHANGING)

_ZERO: Final = bytes(RECORD_WORD_SIZE)

_LONGEST_UNSETTLED: Final = 256 << 10
"""A word that is still missing when so many bytes follow it is looked at only once more, at the end."""


class NewWords(NamedTuple):
    """What was written into a journal since the last look."""

    settled: Journal | None  # will not be given again
    unsettled: Journal | None  # after a word that is not written yet, so it will be given again

    @property
    def parts(self) -> tuple[Journal, ...]:
        """Both, in their order."""
        return tuple(each for each in self if each is not None)


class FollowedJournal:
    """The journal at an offset of a file. One that is not intact cannot be followed."""

    __slots__ = (
        "_seen",
        "claims",
        "events",
        "file",
        "has_hole",
        "header",
        "offset",
        "path",
        "properties",
        "settled",
    )

    def __init__(self, file: HeldFile, path: str, header: Header) -> None:
        """`header` is the one that was read last. Nothing of its words is known yet."""
        self.file = file
        self.path = path
        self.offset = header.offset
        self.header = header
        self.properties: dict[str, bytes] = {}
        self.events: list[Event] = []
        """New ones, of the last look."""
        self.claims: set[tuple[str, str]] = set()
        self.settled = JOURNAL_HEADER_SIZE
        """Bytes, from the header on: every word before was written, and was given."""
        self._seen = b""
        self.has_hole = False
        """Whether a word before the tail was not written yet."""

    def restart(self) -> None:
        """Forget what was given, so that everything is given again."""
        self.settled = JOURNAL_HEADER_SIZE
        self.properties = {}

    def skip_known(self, journal: Journal) -> None:
        """Begin after what was read already, unless a word of it is missing."""
        if not journal.torn:
            self.properties = dict(journal.properties)
            self.settled = journal.header.tail
            self._seen = _CHANGING_STRUCT.pack(*_CHANGING_VALUES(journal.header))

    def take_whole(self, journal: Journal) -> None:
        """Take over what was read of it as a whole. Raises OSError.

        Later it is read as a whole again, also when a word that was missing is written.
        """
        self.header = journal.header
        self.properties = dict(journal.properties)
        self.has_hole = False
        if journal.torn:
            size = journal.header.tail - JOURNAL_HEADER_SIZE
            hole = first_hole(self.file.read(size, self.offset + JOURNAL_HEADER_SIZE))
            self.has_hole = hole < size
            self.settled = JOURNAL_HEADER_SIZE + hole

    def has_moved(self) -> bool:
        """Whether anything was written since the last look. Raises OSError, JournalUnreadable."""
        seen = self.file.read(_CHANGING_STRUCT.size, self.offset + _CHANGING_AT)
        if seen != self._seen:
            self._seen = seen
            return True
        return (
            self.has_hole and self.file.read(RECORD_WORD_SIZE, self.offset + self.settled) != _ZERO
        )

    def read_new(self, *, is_final: bool) -> NewWords:
        """What was written since the last look. `is_final`: its process has ended.

        Raises OSError and JournalError, also for a journal that is not intact.
        """
        head = self.file.read(JOURNAL_HEADER_SIZE, self.offset)
        header, order = read_header(self.path, head)
        is_possible = JOURNAL_HEADER_SIZE <= header.tail <= header.capacity
        if (
            order != NATIVE or header.version != JOURNAL_VERSION or header.offset != self.offset
            or not is_possible or header.tail % RECORD_WORD_SIZE
            or header.image_id != self.header.image_id or header.tail < self.settled
        ):  # fmt: skip
            raise JournalDamaged(f"{self.path}: its header is damaged")
        self.header = header
        self._seen = head[_CHANGING_AT : _CHANGING_AT + _CHANGING_STRUCT.size]
        size = header.tail - self.settled
        words = self.file.read(size, self.offset + self.settled)
        if len(words) < size:
            raise JournalDamaged(f"{self.path}: it is cut short")
        hole = first_hole(words)
        self.has_hole = hole < size
        if self.has_hole and (is_final or size - hole > _LONGEST_UNSETTLED):
            # It is of no use to wait for the missing word.
            hole, self.has_hole = size, False
        self.settled += hole
        new = NewWords(settled=self._decoded(words[:hole]), unsettled=self._decoded(words[hole:]))
        self.events = []
        for part in new.parts:
            self.properties.update(part.properties)
            self.events += part.events
            self.claims |= part.claims
        return new

    def _decoded(self, words: bytes) -> Journal | None:
        return journal_of(self.header, NATIVE, words, []) if words else None


def first_hole(words: bytes) -> int:
    """The offset of the first word that was not written; the length if there is none."""
    at = 0
    while (at := words.find(_ZERO, at)) >= 0:
        at = -(-at // RECORD_WORD_SIZE) * RECORD_WORD_SIZE
        if words[at : at + RECORD_WORD_SIZE] == _ZERO:
            return at
    return len(words)
