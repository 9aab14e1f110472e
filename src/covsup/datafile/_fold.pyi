"""The fold's inner loop, in C. Sets of arcs are bytes, as `covsup.datafile.fold.sets` has them."""

from os import PathLike
from typing import Any, Final, final

ARC_BITS: Final[int]

@final
class JournalFacts:
    """The words of one journal, sorted. Keys are (file id, context id)."""

    def lines(self) -> dict[tuple[int, int], int]: ...
    def arcs(self) -> dict[tuple[int, int], bytes]: ...
    def far(self) -> list[tuple[int, int, int] | tuple[int, int, int, int]]: ...
    def files(self) -> list[tuple[int, bytes, bytes]]: ...
    def contexts(self) -> list[tuple[int, bytes]]: ...
    def properties(self) -> dict[str, bytes]: ...
    def texts(self) -> list[tuple[int, bytes]]: ...
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

def sort(
    words: bytes, swapped: bool, version: int, largest_line: int, memory: int, /
) -> JournalFacts: ...
def read_intact(
    path: str | PathLike[str],
    owner: int | None,
    newest: int,
    largest_line: int,
    memory: int,
    kinds: tuple[object, ...],
    cores: tuple[object, ...],
    /,
) -> tuple[tuple[Any, ...], JournalFacts] | None: ...
def arc_numbers(arcs: bytes, lines: bytes, /) -> str: ...
def united(arcs: bytes, others: bytes, /) -> bytes: ...
