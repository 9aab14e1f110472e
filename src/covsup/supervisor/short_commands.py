"""Command lines in messages and in `covsup tree`: short, but still distinguishable.

Every Python of a session has the same long path, so the interpreter's directory is dropped first.
The script or module stays, and both ends of its arguments.
"""

from __future__ import annotations

import shlex

from covsup.datafile.provenance.command_lines import is_python
from covsup.hints import TYPE_CHECKING
from covsup.interpreter_command import parse_command_line
from covsup.supervisor.messages import printable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Final

_MESSAGE_WIDTH: Final = 60
_MAX_IN_MESSAGE: Final = 3
_MIN_ARGUMENTS_WIDTH: Final = 8
"""Fewer characters of the arguments are not worth showing."""


def short_command(argv: Sequence[str], room: int | None = None, *, cut: str = "…") -> str:
    """A command line in at most `room` characters; None = no limit. `cut` stands for what is left
    out.

    Parts are left out in this order: the directory of the program, the directory of the script, the
    middle of the arguments, the interpreter with its options, the middle of the rest.
    """
    whole = _text(argv)
    if room is None or len(whole) <= room:
        return whole
    words = without_directory(argv)
    first, after = _name_of(words)
    for _ in range(2):
        if len(text := _text(words)) <= room:
            return text
        words = [*words[:first], _base(words[first]), *words[first + 1 :]]
    rest = _text(words[after:])
    for begin in dict.fromkeys((0, first)):
        head = _text(words[begin:after])
        left = room - len(head) - 1
        if not rest and left >= -1:
            return head
        if rest and left >= min(len(rest), _MIN_ARGUMENTS_WIDTH):
            return f"{head} {_middle_out(rest, left, cut)}"
    return _middle_out(_text(words[first:]), room, cut)


def describe_process(pid: int, argv: Sequence[str]) -> str:
    """A process in a message: its pid, and its command line if known."""
    command = short_command(without_directory(argv), _MESSAGE_WIDTH)
    return f"{pid} ({command})" if command else str(pid)


def first_few(processes: Sequence[str]) -> str:
    """The first ones of a list, and how many more there are."""
    more = len(processes) - _MAX_IN_MESSAGE
    return ", ".join(processes[:_MAX_IN_MESSAGE]) + (f" and {more} more" if more > 0 else "")


def without_directory(argv: Sequence[str]) -> Sequence[str]:
    """A command line without the directory of its program."""
    return [_base(argv[0]), *argv[1:]] if argv else argv


def _name_of(argv: Sequence[str]) -> tuple[int, int]:
    """The index of the word that names what runs, and the index of its first argument."""
    if not is_python(argv[0]):
        return 0, 1
    called = parse_command_line(argv)
    if called.kind == "-c":
        return 0, called.start  # the code is long, and begins alike in all workers
    if called.start >= len(argv):
        return 0, len(argv)
    return called.start, called.start + 1


def _base(word: str) -> str:
    return word.rstrip("/").rpartition("/")[2] or word


def _middle_out(text: str, room: int, cut: str) -> str:
    """Both ends of a text, if it is too long."""
    if len(text) <= room:
        return text
    kept = max(0, room - len(cut))
    tail = kept * 2 // 5
    return text[: kept - tail] + cut[:room] + (text[-tail:] if tail else "")


def _text(argv: Sequence[str]) -> str:
    return printable(" ".join(shlex.quote(word) if word == "" else word for word in argv))
