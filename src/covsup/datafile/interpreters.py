"""What a command line says about a Python interpreter."""

from __future__ import annotations

import os
import re

from covsup.hints import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Final


def looks_like_python(program: str) -> bool:
    """Whether a program's name is an interpreter's: python, python3.13, pythonw, pypy3, ..."""
    return _PYTHON.fullmatch(os.path.basename(program)) is not None  # noqa: PTH119 - any text


def why_unmeasured(argv: Sequence[str]) -> str:
    """The likeliest reason why a Python with this command line left no journal."""
    if "S" in _interpreter_flags(argv):
        return "started with -S, which skips the startup files"
    return LEFT_NO_JOURNAL


SENTRY: Final = "[sentry]"
"""How the command line of the second process of a `covsup run` begins."""

PROBE: Final = "# covsup asks this interpreter"
"""How the code begins that covsup has an interpreter run so as to learn what it has."""

LEFT_NO_JOURNAL: Final = (
    "it left no journal: it ended before its startup files, its environment lost"
    " COVSUP_SESSION, or its interpreter has no covsup"
)
_PYTHON: Final = re.compile(
    r"(python|pypy)(\d+(\.\d+)*)?[a-z]*(-[a-z0-9]+)?(\.exe)?", re.IGNORECASE
)

_FLAGS_WITH_VALUE: Final = frozenset("WX")
_ONLY_ASKED: Final = frozenset({"-V", "-VV", "--version", "-h", "-?", "--help", "--help-env",
                                "--help-xoptions", "--help-all"})  # fmt: skip


def _interpreter_flags(argv: Sequence[str]) -> str:
    """The one-letter flags before the script, -c or -m."""
    flags = ""
    rest = iter(argv[1:])
    for word in rest:
        if not word.startswith("-") or word in {"-", "--"} or word.startswith("--"):
            break
        for index, letter in enumerate(word[1:], 1):
            if letter in "cm":
                return flags
            if letter in _FLAGS_WITH_VALUE:
                if index == len(word) - 1:
                    next(rest, None)
                break
            flags += letter
    return flags


def runs_code(argv: Sequence[str]) -> bool:
    """Whether an interpreter with this command line runs anything that could be measured.

    That is not so where it is only asked for its version, nor for covsup's own commands.
    """
    return not any(word in _ONLY_ASKED for word in argv[1:2]) and not is_covsup(argv)


def is_covsup(argv: Sequence[str]) -> bool:
    """Whether a command line is covsup's own: such a process belongs to no session."""
    if argv and argv[0] == SENTRY:
        return True
    if list(argv[1:2]) == ["-c"] and any(word.startswith(PROBE) for word in argv[2:3]):
        return True
    if not any(word.endswith("covsup") for word in argv):
        return False
    words = iter(argv[1:])
    for word in words:
        if not word.startswith("-") or word == "-":
            return os.path.basename(word) == "covsup"  # noqa: PTH119 - any text
        for index, letter in enumerate(word[1:], 1):
            if letter in "cm-":
                if letter != "m":
                    break
                return (word[index + 1 :] or next(words, "")) == "covsup"
            if letter in _FLAGS_WITH_VALUE:
                if index == len(word) - 1:
                    next(words, None)
                break
    return False
