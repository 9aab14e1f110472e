"""What the command line of a process says: whether it is a Python, and whether it runs user code."""

from __future__ import annotations

import re

from covsup.hints import TYPE_CHECKING
from covsup.interpreter_command import parse_command_line, runs_covsup

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Final

WITNESS_NAME: Final = "[sentry]"
"""How the command line of the second process of a `covsup run` begins."""

PROBE_MARK: Final = "# covsup asks this interpreter"
"""The first line of the code by which covsup asks an interpreter for its version and packages."""

NO_JOURNAL_REASON: Final = (
    "it left no journal: it ended before its startup files, its environment lost"
    " COVSUP_SESSION, or its interpreter has no covsup"
)

_DELETED: Final = " (deleted)"
"""Linux appends it to the path of a running program whose file was deleted or replaced."""

_PYTHON: Final = re.compile(
    r"""
    \.?                                # Nix keeps the program itself in .NAME-wrapped
    (python | pypy | graalpy(thon)?)   # "Python" in a framework build
    w? (\d+ (\.\d+)*)? [dmtuw]*        # 3.13t, 3.13td, 3.7m; w on Windows and macOS
    (_d)?                              # a debug build on Windows
    (-(dbg|debug|nogil|jit|intel64|arm64|x86_64|i386|32|64|c|lto|real|bin|wrapped))*
    (\.exe)?
    """,
    re.IGNORECASE | re.ASCII | re.VERBOSE,
)

_INFORMATION_OPTIONS: Final = frozenset(
    {"-V", "-VV", "--version", "-h", "-?", "--help", "--help-env", "--help-xoptions", "--help-all"}
)
"""Options of an interpreter that print something and run nothing."""


def is_python(program: str) -> bool:
    """Whether a program, by its path or name, is a Python interpreter.

    The only place that decides this from a name: for commands, processes and records alike. Programs
    such as python3-config and ipython are not interpreters. An interpreter under another name is
    recognized by the libraries that it has loaded.
    """
    name = program.rpartition("/")[2].removesuffix(_DELETED)
    return _PYTHON.fullmatch(name) is not None


def unmeasured_reason(argv: Sequence[str]) -> str:
    """The likeliest reason why a Python with this command line left no journal."""
    if "S" in parse_command_line(argv).letters:
        return "started with -S, which skips the startup files"
    return NO_JOURNAL_REASON


def runs_user_code(argv: Sequence[str]) -> bool:
    """Whether an interpreter with this command line runs anything that could be measured.

    It does not where it only prints its version or help, or runs covsup's own commands.
    """
    only_informs = any(word in _INFORMATION_OPTIONS for word in argv[1:2])
    return not only_informs and not is_covsup_command(argv)


def is_covsup_command(argv: Sequence[str]) -> bool:
    """Whether a process with this command line is covsup's own, and so belongs to no session."""
    if argv and argv[0] == WITNESS_NAME:
        return True
    if list(argv[1:2]) == ["-c"] and any(word.startswith(PROBE_MARK) for word in argv[2:3]):
        return True
    return runs_covsup(argv)
