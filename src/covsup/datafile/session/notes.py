"""Notes: what a measured process could not do, one file each in the session directory."""

from __future__ import annotations

import re

from covsup.datafile.session.text_files import read_text
from covsup.hints import TYPE_CHECKING, NamedTuple
from covsup.pairs import decode_pairs, encode_pairs

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Final, Literal, Self, TypeAlias

NOTE_SUFFIX: Final = ".note"
"""How the names of note files end."""

_NOTE_NAME: Final = re.compile(r"note-(?P<pid>\d+)-(?P<time>[0-9a-f]+)\.note", re.ASCII)

NoteKind: TypeAlias = 'Literal["start-failed", "lost", "refused", "note"]'


class SessionNote(NamedTuple):
    """What a measured process could not do, as it wrote it itself."""

    pid: int
    time_ns: int  # wall clock, nanoseconds since 1970
    kind: str  # one of NoteKind, or a kind that a newer version writes
    why: str
    argv: tuple[str, ...] = ()

    def to_text(self) -> str:
        """The note file's text."""
        return encode_pairs(
            [
                ("pid", str(self.pid)),
                ("time_ns", str(self.time_ns)),
                ("kind", self.kind),
                ("why", self.why),
                *(("argv", each) for each in self.argv),
            ]
        )

    @classmethod
    def of_file(cls, path: Path) -> Self:
        """Read a note file. Raises OSError.

        An empty file is a note of a process that could create it, but write nothing: its name holds
        the pid and the time.
        """
        text = read_text(path)
        name = _NOTE_NAME.fullmatch(path.name)
        if text or name is None:
            return cls.from_text(text)
        return cls(
            pid=int(name["pid"]),
            time_ns=int(name["time"], 16),
            kind="start-failed",
            why="it could write neither a journal nor a note: the disk is full, or a file size"
            " limit (ulimit -f) forbids it",
        )

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Read a note file's text. A missing value becomes 0 or "": what is there is shown."""
        pairs = list(decode_pairs(text))
        last = dict(pairs)
        return cls(
            pid=_number(last.get("pid", "")),
            time_ns=_number(last.get("time_ns", "")),
            kind=last.get("kind", "note"),
            why=last.get("why", ""),
            argv=tuple(value for key, value in pairs if key == "argv"),
        )


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() else 0
