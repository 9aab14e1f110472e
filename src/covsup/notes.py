"""Notes in the session directory about what a process could not do. The supervisor reports them.

Loaded only if there is something to note, also in Pythons too old for covsup (carrier/start.py).
"""

import os
import sys


class UntrustedSession(PermissionError):
    """The session is not one that may decide what happens in this process."""

    def __init__(self) -> None:
        """Give no detail of what was found there: it may be another user's."""
        super().__init__("the session is not this process's, or others may write to it")


def note_failed_start(session: str, error: Exception) -> str:
    """Note that the measurement could not start, and return why.

    Nothing is written into a session that is not trusted: its supervisor sees that a Python has no
    journal.
    """
    if isinstance(error, UntrustedSession):
        return str(error)
    why = f"{type(error).__name__}: {error}"
    write_note(session, why)
    return why


def write_note(session: str, why: str, kind: str = "start-failed") -> None:
    """Write a note into the session directory; do nothing if that fails."""
    import time  # a builtin module, which Python has imported long ago

    try:
        from covsup.pairs import encode_pairs
    except (ImportError, OSError):
        return  # no descriptor is left, so no file could be created either

    now = time.time_ns()
    pairs = [
        ("pid", str(os.getpid())),
        ("time_ns", str(now)),
        ("kind", kind),
        ("why", why),
        *(("argv", item) for item in getattr(sys, "orig_argv", [])),  # 3.9 does not have it
    ]
    text = encode_pairs(pairs)
    # The second place is for a process of another user, who may not write into the first.
    for place in session, f"{session}/uid-{os.geteuid()}":
        path = f"{place}/note-{os.getpid()}-{now:x}.note"
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        except OSError:
            # The directory is gone (the session has ended) or the disk is full.
            continue
        try:
            os.write(descriptor, text.encode("utf-8", "surrogateescape"))
        except OSError:
            pass  # the disk is full
        finally:
            os.close(descriptor)
        return
