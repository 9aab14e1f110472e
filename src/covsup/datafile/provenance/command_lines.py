"""What a command line says about a Python interpreter."""

from __future__ import annotations

import os
import re

from covsup.hints import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Final


def is_python(program: str) -> bool:
    """Whether a program, by its path or name, is a Python interpreter.

    This alone decides it, for commands, processes and records alike. Programs with Python in their
    names that are none (python3-config, ipython) are not; a Python under a name of its own is known
    by what it has loaded.
    """
    name = os.path.basename(program).removesuffix(_DELETED)  # noqa: PTH119 - any text
    return _PYTHON.fullmatch(name) is not None


def unmeasured_reason(argv: Sequence[str]) -> str:
    """The likeliest reason why a Python with this command line left no journal."""
    if "S" in parse_command_line(argv).letters:
        return "started with -S, which skips the startup files"
    return NO_JOURNAL_REASON


WITNESS_NAME: Final = "[sentry]"
"""How the command line of the second process of a `covsup run` begins."""

PROBE_MARK: Final = "# covsup asks this interpreter"
"""The first line of the code by which covsup asks an interpreter for its version and packages."""

NO_JOURNAL_REASON: Final = (
    "it left no journal: it ended before its startup files, its environment lost"
    " COVSUP_SESSION, or its interpreter has no covsup"
)
_DELETED: Final = " (deleted)"
"""Linux adds it to the path of a program whose file was replaced since it was started."""

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

_OPTIONS_WITH_VALUE: Final = frozenset("WX")
_INFORMATION_OPTIONS: Final = frozenset({"-V", "-VV", "--version", "-h", "-?", "--help", "--help-env",
                                "--help-xoptions", "--help-all"})  # fmt: skip


class InterpreterCommand(NamedTuple):
    """How the command line of an interpreter is to be read."""

    options: tuple[str, ...]  # of the interpreter itself, as they were written
    letters: str  # of those that take no value: "IS"
    kind: str  # "-c", "-m", or "" for a script or nothing
    start: int  # where in the command line the code, the module or the script stands


def parse_command_line(argv: Sequence[str]) -> InterpreterCommand:
    """Read the command line of an interpreter.

    `python -P -Werror -Im covsup run` has the options -P, -Werror and -I.
    """
    options: list[str] = []
    letters = ""
    index = 1
    while index < len(argv):
        word = argv[index]
        if word == "--check-hash-based-pycs":
            options += [word, *argv[index + 1 : index + 2]]
            index += 1
        elif word == "--":
            index += 1
            break
        elif word.startswith("--"):
            options.append(word)
        elif not word.startswith("-") or word == "-":
            break
        else:
            for at, letter in enumerate(word[1:], 1):
                if letter in "cm":
                    options += [word[:at]] if at > 1 else []
                    is_glued = at + 1 < len(word)
                    start = index if is_glued else index + 1
                    return InterpreterCommand(tuple(options), letters, f"-{letter}", start)
                if letter in _OPTIONS_WITH_VALUE:
                    options.append(word)
                    if at == len(word) - 1:
                        index += 1
                        options += argv[index : index + 1]
                    break
                letters += letter
            else:
                options.append(word)
        index += 1
    return InterpreterCommand(tuple(options), letters, "", index)


def runs_user_code(argv: Sequence[str]) -> bool:
    """Whether an interpreter with this command line runs anything that could be measured.

    That is not so where it is only asked for its version, nor for covsup's own commands.
    """
    return not any(word in _INFORMATION_OPTIONS for word in argv[1:2]) and not is_covsup_command(
        argv
    )


def is_covsup_command(argv: Sequence[str]) -> bool:
    """Whether a command line is covsup's own: such a process belongs to no session."""
    if argv and argv[0] == WITNESS_NAME:
        return True
    if list(argv[1:2]) == ["-c"] and any(word.startswith(PROBE_MARK) for word in argv[2:3]):
        return True
    if not any(word.endswith("covsup") for word in argv):
        return False
    called = parse_command_line(argv)
    what = argv[called.start] if called.start < len(argv) else ""
    if called.kind == "-m":
        return _module_of(what) == "covsup"
    return not called.kind and os.path.basename(what) == "covsup"  # noqa: PTH119 - any text


def _module_of(word: str) -> str:
    """The module in the word that names it: `-Imcovsup` is a way to write it, too."""
    return word.partition("m")[2] if word.startswith("-") else word
