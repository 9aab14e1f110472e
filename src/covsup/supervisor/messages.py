"""The one door through which covsup speaks: whole lines on stderr that begin with `covsup: `."""

from __future__ import annotations

import os
import re
import sys
import time

from covsup.hints import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Final

_PLAIN_WORD: Final = re.compile(r"[\w@%+=:,./-]+", re.ASCII)


def printable(text: str) -> str:
    """`text` in one line and without anything that would steer a terminal.

    File names and command lines come from anywhere: control characters, lone surrogates and marks
    that change the direction of writing are shown as escapes.
    """
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode("ascii")
        for each in text
    )


def local_time(time_ns: int) -> str:
    """A time of the wall clock, for people here."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(time_ns // 10**9))


def shell_quoted(word: str) -> str:
    """A word of a command line as a shell wants it; shlex, which has this too, may not be loaded
    when something is wrong."""
    if _PLAIN_WORD.fullmatch(word):
        return word
    return "'" + word.replace("'", "'\"'\"'") + "'"


def print_message(message: str) -> None:
    """Write `covsup: message` as one line.

    A stderr that is closed or full is nothing that a user could be told of: there is no other
    place to say it, and the target's exit status must not depend on it.
    """
    try:
        line = f"covsup: {printable(message)}\n".encode(errors="backslashreplace")
        sys.stderr.flush()
        os.write(2, line)
    except (OSError, AttributeError, ValueError, MemoryError):
        return
