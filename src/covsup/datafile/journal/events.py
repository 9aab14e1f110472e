"""The events of a journal: what happened to its process, and what the program did.

docs/journal-format.md explains their payloads.
"""

from __future__ import annotations

import struct
from enum import IntEnum

from covsup.datafile import _fold
from covsup.hints import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from typing import TypeAlias


class EndedHow(IntEnum):
    """How a process ended itself."""

    EXIT = _fold.ENDED_BY_EXIT
    UNDERSCORE_EXIT = _fold.ENDED_BY_UNDERSCORE_EXIT
    OTHER = _fold.ENDED_OTHERWISE
    SIGNAL = _fold.ENDED_BY_SIGNAL
    DETACH = _fold.ENDED_BY_DETACH
    """By a signal's default action. The status is the signal's number."""


class AboutToExec(NamedTuple):
    """The image was about to exec another program. Everything before it is recorded."""

    at_ns: int  # wall clock, nanoseconds since 1970, as in all events
    path: str
    argv: tuple[str, ...]


class ExecFailed(NamedTuple):
    """The exec that was announced failed, and the image went on."""

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
    status: int  # raw, as wait() gives it


class Ended(NamedTuple):
    """The image was about to end itself."""

    at_ns: int
    how: EndedHow
    status: int


class Unexecuted(NamedTuple):
    """A child that was recorded as spawned could not exec its program, and ended."""

    at_ns: int
    pid: int


class LibraryUsed(NamedTuple):
    """The program imported a concurrency library."""

    at_ns: int
    name: str
    version: str


class UserTracer(NamedTuple):
    """The program installed a trace function of its own."""

    at_ns: int
    text: str


class Note(NamedTuple):
    """A remark of the measuring code in the process."""

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


def decode_event(order: str, payload: bytes) -> Event | int:
    """The event in the payload of an EVENT blob; the kind's number where that is unknown here.

    `order` is the journal's byte order, as `struct` names it. Raises ValueError or struct.error for
    a payload that does not have the form of its kind.
    """

    def numbers(format_: str) -> tuple[int, ...]:
        """The numbers at the start of the event's own data. They have no padding."""
        return struct.unpack_from(f"{order}{format_}", data)

    kind, at_ns = struct.unpack_from(f"{order}IQ", payload)
    data = payload[12:]
    event: Event | int
    match kind:
        case _fold.EVENT_EXEC_ABOUT:
            path, _, argv = data.partition(b"\0")
            event = AboutToExec(at_ns=at_ns, path=decode_text(path), argv=_items(argv))
        case _fold.EVENT_EXEC_FAILED:
            event = ExecFailed(at_ns=at_ns, errno=numbers("i")[0])
        case _fold.EVENT_SPAWNED:
            event = Spawned(at_ns=at_ns, pid=numbers("I")[0], argv=_items(data[4:]))
        case _fold.EVENT_REAPED:
            pid, status = numbers("Ii")
            event = Reaped(at_ns=at_ns, pid=pid, status=status)
        case _fold.EVENT_ENDED:
            how, status = numbers("Bi")
            event = Ended(at_ns=at_ns, how=EndedHow(how), status=status)
        case _fold.EVENT_LIBRARY:
            name, _, version = data.partition(b"\0")
            event = LibraryUsed(at_ns=at_ns, name=decode_text(name), version=decode_text(version))
        case _fold.EVENT_TRACER:
            event = UserTracer(at_ns=at_ns, text=decode_text(data))
        case _fold.EVENT_NOTE:
            event = Note(at_ns=at_ns, text=decode_text(data))
        case _fold.EVENT_UNEXECUTED:
            event = Unexecuted(at_ns=at_ns, pid=numbers("I")[0])
        case _:
            event = int(kind)
    return event


def decode_text(raw: bytes) -> str:
    """Text of a journal. Bytes that are not UTF-8 become surrogates, as os.fsdecode() gives them."""
    return raw.decode("utf-8", "surrogateescape")


def _items(raw: bytes) -> tuple[str, ...]:
    """The items of a NUL-separated list. No bytes are no items."""
    return tuple(map(decode_text, raw.split(b"\0"))) if raw else ()
