"""Set a mark: write a file that says how far each journal of a session is at this moment.

Everything that a process executed before is in the words before these tails. So setting a mark costs
a few system calls for each journal, and needs no process to do anything. docs/marks.md describes the
file.

The only place that knows its format. A measured process loads it when the program sets a mark, so it
imports nothing that Python has not imported at its start.
"""

import os
import sys

TYPE_CHECKING = False  # importing typing would import it into the target
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

MARK_PREFIX = "mark-"
"""How the names of the files begin. They end in ~, so programs that watch files ignore them."""

FORMAT = "1"
SEES_ALL, SEES_SOME = "all", "some"
"""Which journals a mark lists: all of the session, or those that its process could read."""

_JOURNAL_END = ".journal~"
_FOLDED = "folded"
_USER_PREFIX = "uid-"
_ATTEMPTS = 50

_last_ns = 0


class JournalLayout:
    """Offsets in the header of a journal, from the extension of the process that sets the mark."""

    def __init__(
        self, header_size: int, slots_at: int, slot_size: int, tail: int, slots_used: int
    ) -> None:
        """Each is the offset of the field of that name, but for the size of the whole header."""
        self.header_size = header_size
        self.slots_at = slots_at
        self.slot_size = slot_size
        self.tail = tail
        self.slots_used = slots_used


def set_mark(
    session: str,
    name: str,
    layout: JournalLayout,
    own_tails: "Callable[[], Iterable[tuple[bytes, int, int]]] | None" = None,
) -> str:
    """Set a mark in a session directory, and give the path of its file. Raises OSError, ValueError.

    Two marks may have the same name. `own_tails` gives the image, the segment and the tail of this
    process's journals: a process that changed its user cannot read their files any more.
    """
    from covsup.pairs import encode_pairs  # a measured process may have it already

    if not name:
        raise ValueError("a mark needs a name")
    name = name.encode("utf-8", "backslashreplace").decode("utf-8")
    path = ""
    for _ in range(_ATTEMPTS):
        if path:
            os.unlink(path)
        folded = _state(f"{session}/{_FOLDED}")
        at_ns = _now_ns()
        found = _Tails(session, layout)
        pairs = [
            ("format", FORMAT),
            ("name", name),
            ("at_ns", str(at_ns)),
            ("sees", SEES_ALL if found.sees_all else SEES_SOME),
            *(("tail", f"{tail} {at} {file}") for (file, at), tail in found.tails.items()),
        ]
        if not found.sees_all and own_tails is not None:
            pairs += [
                ("own", f"{tail} {segment} {image_id.hex()}")
                for image_id, segment, tail in own_tails()
            ]
        path = f"{found.directory}/{MARK_PREFIX}{at_ns:x}-{os.getpid()}~"
        mode = 0o600 if found.directory == session else 0o644
        _write(path, encode_pairs(pairs).encode("utf-8", "surrogateescape"), mode)
        # A combination may have moved facts from journals to the partial fold meanwhile. It lists the
        # marks again after it has written the fold: either it sees this mark, or this sees the fold.
        if _state(f"{session}/{_FOLDED}") == folded:
            break
    return path


def _now_ns() -> int:
    """The time, later than that of the last mark that this process set."""
    global _last_ns  # noqa: PLW0603 - it orders the marks of this process
    import time  # a builtin module, which Python has imported long ago

    _last_ns = max(time.time_ns(), _last_ns + 1)
    return _last_ns


def _state(path: str) -> "tuple[int, int, int] | None":
    """What changes if a file is replaced; None if there is no file."""
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


class _Tails:
    """The tails of the journals that this process can read."""

    def __init__(self, session: str, layout: JournalLayout) -> None:
        """Read them now. Raises OSError."""
        self.directory = session  # where the mark may be written
        self.sees_all = True
        self.tails: dict[tuple[str, int], int] = {}
        """By journal: the path of its file in the session directory, and its offset there."""
        try:
            names = os.listdir(session)
        except PermissionError:
            # Another user's session: this user has a directory in it.
            names = [f"{_USER_PREFIX}{os.geteuid()}"]
            self.directory = f"{session}/{names[0]}"
            self.sees_all = False
        files = [name for name in names if name.endswith(_JOURNAL_END)]
        for name in names:
            if name.startswith(_USER_PREFIX):
                try:
                    listed = os.listdir(f"{session}/{name}")
                except OSError:
                    self.sees_all = False
                    continue
                files += [f"{name}/{file}" for file in listed if file.endswith(_JOURNAL_END)]
        for file in files:
            try:
                for at, tail in _tails_in(f"{session}/{file}", layout):
                    self.tails[file, at] = tail
            except FileNotFoundError:
                continue  # a combination moved it to the partial fold
            except PermissionError:
                self.sees_all = False


def _tails_in(path: str, layout: JournalLayout) -> "Iterator[tuple[int, int]]":
    """The offset and the tail of each journal in a file: its own, and those in its slots.

    Raises OSError.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        header = os.pread(descriptor, layout.header_size, 0)
        if len(header) < layout.header_size:
            return  # its process is making it
        yield 0, _number(header, layout.tail, 8)
        first = _number(header, layout.slots_at, 8)
        size = _number(header, layout.slot_size, 4)
        for slot in range(_number(header, layout.slots_used, 8) if first and size else 0):
            at = first + slot * size
            tail = os.pread(descriptor, 8, at + layout.tail)
            if len(tail) < 8:
                return  # all slots of the file were handed out
            yield at, _number(tail, 0, 8)
    finally:
        os.close(descriptor)


def _number(data: bytes, at: int, size: int) -> int:
    return int.from_bytes(data[at : at + size], sys.byteorder)


def _write(path: str, text: bytes, mode: int) -> None:
    """Write a file in one step. Raises OSError."""
    temporary = f"{path.rpartition('/')[0]}/.new-{os.urandom(6).hex()}~"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    descriptor = os.open(temporary, flags, mode)
    try:
        try:
            os.fchmod(descriptor, mode)  # whatever the umask is
            while text:
                text = text[os.write(descriptor, text) :]
        finally:
            os.close(descriptor)
        os.rename(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
