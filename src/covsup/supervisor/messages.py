"""Messages to the user: one line each, on stderr, that begins with `covsup: `.

Must never know: what a message is about.
"""

from __future__ import annotations

import os
import re
import sys
import time

from covsup.datafile.errors import CovsupError
from covsup.hints import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Final

_PLAIN_WORD: Final = re.compile(r"[\w@%+=:,./-]+", re.ASCII)


def printable(text: str) -> str:
    """`text` in one line, without anything that would control a terminal.

    File names and command lines can contain anything. Control characters, lone surrogates and marks
    that change the direction of writing become escapes.
    """
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode("ascii")
        for each in text
    )


def local_time(time_ns: int) -> str:
    """A time of the wall clock, in the local time zone."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(time_ns // 10**9))


def shell_quoted(word: str) -> str:
    """A word quoted for a shell.

    shlex.quote() does the same, but importing shlex can fail where something is wrong already.
    """
    if _PLAIN_WORD.fullmatch(word):
        return word
    return "'" + word.replace("'", "'\"'\"'") + "'"


def in_one_line(error: BaseException) -> str:
    """An exception in one line. covsup's own are complete; others get their type, or file name."""
    first = str(error).strip().partition("\n")[0]
    if isinstance(error, CovsupError):
        return first
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return f"{type(error).__name__}: {first}" if first else type(error).__name__


def aligned(pairs: Iterable[tuple[str, object]]) -> str:
    """One printable line for each name and its value, with the colons below each other."""
    lines = [(name, printable(str(value))) for name, value in pairs]
    width = max((len(name) for name, _ in lines), default=0)
    return "".join(f"{name:>{width}}: {value}\n" for name, value in lines)


def print_message(message: str) -> None:
    """Write `covsup: message` as one line.

    A failure is ignored. There is no other place to report that stderr is closed or full, and the
    target's exit status must not depend on it.
    """
    try:
        line = f"covsup: {printable(message)}\n".encode(errors="backslashreplace")
        sys.stderr.flush()
        os.write(2, line)
    except (OSError, AttributeError, ValueError, MemoryError):
        return


def did_you_mean(word: str, words: Iterable[str], *, prefix: str = "") -> str:
    """Give "; did you mean 'thread'?" if one of `words` is similar, else "".

    A `prefix` that all words share does not count as similarity.
    """
    import difflib  # only for a mistake

    known = [each.removeprefix(prefix) for each in words]
    found = difflib.get_close_matches(word.removeprefix(prefix), known, n=1)
    return f"; did you mean {prefix + found[0]!r}?" if found else ""


def did_you_mean_or_all(word: str, words: Iterable[str]) -> str:
    """The same; if no word is similar, list all that do not begin with an underscore."""
    known = sorted(each for each in words if not each.startswith("_"))
    return did_you_mean(word, known) or f"; there are: {', '.join(known)}"
