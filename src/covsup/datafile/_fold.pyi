"""The fold's inner loop, in C. Sets of arcs are bytes, as `covsup.datafile.fold.sets` has them."""

from os import PathLike
from typing import Any, Final, final

ARC_BITS: Final[int]

# The journal's format, from tracer_c/journal/format.h.
JOURNAL_MAGIC: Final[bytes]
JOURNAL_VERSION: Final[int]
JOURNAL_HEADER_SIZE: Final[int]
JOURNAL_BYTE_ORDER: Final[int]
JOURNAL_CHECKED_FROM: Final[int]
JOURNAL_CHECKED_TO: Final[int]
JOURNAL_FLAG_BRANCH: Final[int]
JOURNAL_LONGEST: Final[int]
JOURNAL_SPAWNED: Final[int]
JOURNAL_FORKED: Final[int]
JOURNAL_EXECED: Final[int]
JOURNAL_CORE_MONITORING: Final[int]
JOURNAL_CORE_SETTRACE: Final[int]
JOURNAL_STAGE_FILL: Final[int]
JOURNAL_STAGE_GROW: Final[int]
RECORD_WORD_SIZE: Final[int]
BLOB_EVENT: Final[int]
BLOB_CLAIM: Final[int]
EVENT_EXEC_ABOUT: Final[int]
EVENT_EXEC_FAILED: Final[int]
EVENT_SPAWNED: Final[int]
EVENT_REAPED: Final[int]
EVENT_ENDED: Final[int]
EVENT_LIBRARY: Final[int]
EVENT_TRACER: Final[int]
EVENT_NOTE: Final[int]
EVENT_UNEXECUTED: Final[int]
ENDED_BY_EXIT: Final[int]
ENDED_BY_UNDERSCORE_EXIT: Final[int]
ENDED_OTHERWISE: Final[int]
ENDED_BY_SIGNAL: Final[int]
ENDED_BY_DETACH: Final[int]
HEADER_LAYOUT: Final[tuple[tuple[str, int, int], ...]]
"""Name, offset and size in bytes of each field of a journal's header."""

CONTEXT_KINDS: Final[tuple[str, ...]]
"""The kinds of contexts that covsup records by itself, from tracer_c/contexts/kinds.h."""

@final
class JournalFacts:
    """What the words of one journal say. Keys are (file id, context id)."""

    def lines(self) -> dict[tuple[int, int], int]: ...
    def arcs(self) -> dict[tuple[int, int], bytes]: ...
    def out_of_range(self) -> list[tuple[int, int, int] | tuple[int, int, int, int]]: ...
    def files(self) -> list[tuple[int, bytes, bytes]]: ...
    def contexts(self) -> list[tuple[int, bytes]]: ...
    def properties(self) -> dict[str, bytes]: ...
    def blobs(self) -> list[tuple[int, bytes]]: ...
    def counts(self) -> tuple[int, int, int, int]: ...

@final
class FactUnion:
    """The union of what any number of images executed."""

    def add(
        self,
        segments: tuple[JournalFacts, ...],
        started_ns: int,
        image_id: str,
        label: str,
        branch: bool,
        /,
    ) -> tuple[int, int, int, int, list[str], set[int]]: ...
    def result(
        self,
    ) -> tuple[
        dict[tuple[str, str], int],
        dict[tuple[str, str], bytes],
        dict[str, frozenset[str]],
        dict[str, dict[tuple[int, str], int]],
        dict[str, int],
    ]: ...

def decode_words(
    words: bytes, swapped: bool, version: int, largest_line: int, memory: int, /
) -> JournalFacts: ...
def read_intact(
    path: str | PathLike[str],
    owner: int | None,
    largest_line: int,
    memory: int,
    kinds: tuple[object, ...],
    cores: tuple[object, ...],
    /,
) -> tuple[tuple[Any, ...], JournalFacts] | None: ...
def arc_numbers(arcs: bytes, lines: bytes, /) -> str: ...
def unite_arcs(arcs: bytes, others: bytes, /) -> bytes: ...
def arc_lines(arcs: bytes, /) -> int: ...
