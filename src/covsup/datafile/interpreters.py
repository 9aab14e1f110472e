"""What a command line says about a Python interpreter."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence


def looks_like_python(program: str) -> bool:
    """Whether a program's name is an interpreter's: python, python3.13, pythonw, pypy3, ..."""
    return _PYTHON.fullmatch(os.path.basename(program)) is not None  # noqa: PTH119 - any text


def why_unmeasured(argv: Sequence[str]) -> str:
    """The likeliest reason why a Python with this command line left no journal."""
    if "S" in _interpreter_flags(argv):
        return "started with -S, which skips the startup files"
    return LEFT_NO_JOURNAL


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
    """Whether an interpreter with this command line comes as far as its startup files."""
    return not any(word in _ONLY_ASKED for word in argv[1:2])
