"""What TARGET on a command line means: a script, a module, or a command.

The words mean what they mean to `python` and to a shell. A target that does not exist is refused
here, before anything runs.
"""

from __future__ import annotations

import os
import re
import sys
from enum import Enum

from covsup.datafile.provenance.command_lines import is_python
from covsup.hints import TYPE_CHECKING, NamedTuple
from covsup.interpreter_command import parse_command_line
from covsup.supervisor.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Final

_PYTHON_FILES: Final = (".py", ".pyw", ".pyc")
# pip writes this below `#!/bin/sh` if the path of the Python is too long for a shebang.
_TRAMPOLINE: Final = re.compile(rb"'''exec' (?:\"([^\"]+)\"|(\S+)) ")
_SHEBANG_LENGTH: Final = 4096
_ZIP_END: Final = b"PK\x05\x06"
_ZIP_END_REACH: Final = 65_557  # the end record with the longest comment


class TargetKind(Enum):
    """How a target is run."""

    SCRIPT = "script"  # a file, a directory or an archive, by our interpreter
    MODULE = "module"  # with -m, by our interpreter
    COMMAND = "command"  # as it is


class Target(NamedTuple):
    """What is to be run."""

    kind: TargetKind
    path: str  # of the program to execute
    argv: tuple[str, ...]
    words: tuple[str, ...]  # as given by the user, for messages and the session's settings
    interpreter: str | None  # the Python that will run it; None = none, or unknown
    module: str = ""  # of a MODULE


def find_target(words: Sequence[str]) -> Target:
    """Resolve the words of a command line. Raises UsageError if they name nothing that can run."""
    if words[0].startswith("-m"):
        return _module(words)
    if words[0] == "-" or _is_script(words[0]):
        return Target(
            kind=TargetKind.SCRIPT,
            path=_own_interpreter(),
            argv=(_own_interpreter(), *parse_command_line(sys.orig_argv).options, *words),
            words=tuple(words),
            interpreter=_own_interpreter(),
        )
    return _command(words)


def _own_interpreter() -> str:
    if not sys.executable:
        raise UsageError(
            "this Python does not know its own path; name it: covsup run PYTHON TARGET"
        )
    return sys.executable


def _module(words: Sequence[str]) -> Target:
    module, rest = (words[0][2:], words[1:]) if words[0] != "-m" else ("", words[1:])
    if not module:
        if not rest:
            raise UsageError("-m needs the name of a module")
        module, rest = rest[0], rest[1:]
    flags = parse_command_line(sys.orig_argv).options
    return Target(
        kind=TargetKind.MODULE,
        path=_own_interpreter(),
        argv=(_own_interpreter(), *flags, "-m", module, *rest),
        words=tuple(words),
        interpreter=_own_interpreter(),
        module=module,
    )


def _which(word: str) -> str | None:
    from shutil import which  # slow: it imports the modules of every kind of archive

    return which(word)


def _in_our_environment(word: str) -> str | None:
    """The path of a program in the environment of covsup, which need not be active."""
    if os.sep in word:
        return None
    from shutil import which

    return which(word, path=os.path.dirname(sys.executable))


def _is_script(word: str) -> bool:
    """Whether our interpreter is to run it. Raises UsageError if it cannot run at all."""
    if os.path.isdir(word):
        return _is_program_directory(word)
    if os.path.isfile(word):
        is_script = _is_script_file(word)
        if is_script and not os.access(word, os.R_OK):
            raise UsageError(f"cannot read {word}: permission denied")
        return is_script
    if word.endswith(_PYTHON_FILES) and not _is_on_path(word):
        raise UsageError(_why_missing(word) or f"there is no script {word}")
    return False


def _why_missing(word: str) -> str:
    """Why a file cannot be found, or "" if it just does not exist."""
    try:
        os.stat(word)
    except FileNotFoundError:
        return f"{word} is a broken symbolic link" if os.path.islink(word) else ""
    except OSError as error:
        return f"cannot read {word}: {(error.strerror or str(error)).lower()}"
    return ""


def _is_on_path(word: str) -> bool:
    return os.sep not in word and _which(word) is not None


def _is_program_directory(word: str) -> bool:
    names = ("__main__.py", "__main__.pyc")
    if any(os.path.isfile(os.path.join(word, name)) for name in names):
        return True
    if not _is_on_path(word):
        raise UsageError(f"{word} is a directory without a __main__.py")
    return False


def _is_script_file(word: str) -> bool:
    if word.endswith(_PYTHON_FILES) or _is_archive(word):
        return True
    if _is_on_path(word) or (os.sep in word and os.access(word, os.X_OK)):
        return False
    if _shebang_python(word) is None and _first_bytes(word).startswith((b"#!", b"\x7fELF")):
        raise UsageError(f"{word} is neither Python nor executable")
    return True


def _command(words: Sequence[str]) -> Target:
    word = words[0]
    argv = tuple(words)
    path = _which(word)
    if path is None and (path := _in_our_environment(word)) is not None:
        # A Python that is not on PATH cannot find its own files by its name alone.
        argv = (path, *words[1:])
    if path is None:
        if os.path.exists(word) and os.sep in word:
            raise UsageError(f"{word} is not executable")
        raise UsageError(_why_missing(word) or f"there is neither a script nor a command {word}")
    interpreter = path if is_python(path) else _shebang_python(path)
    return Target(
        kind=TargetKind.COMMAND,
        path=path,
        argv=argv,
        words=tuple(words),
        interpreter=interpreter,
    )


def _shebang_python(path: str) -> str | None:
    """The Python that a file's first line names, or None."""
    head = _first_bytes(path)
    if not head.startswith(b"#!"):
        return None
    first, _, rest = head.partition(b"\n")
    words = os.fsdecode(first[2:]).split()
    if not words:
        return None
    if os.path.basename(words[0]) == "env":
        named = [word for word in words[1:] if not word.startswith("-") and "=" not in word]
        return _which(named[0]) if named and is_python(named[0]) else None
    if is_python(words[0]):
        return words[0]
    trampoline = _TRAMPOLINE.match(rest)
    if trampoline is not None:
        named_by_pip = os.fsdecode(trampoline[1] or trampoline[2])
        return named_by_pip if is_python(named_by_pip) else None
    return None


def _first_bytes(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(_SHEBANG_LENGTH)
    except OSError:
        # An executable need not be readable. Its interpreter is unknown then.
        return b""


def _is_archive(path: str) -> bool:
    """Whether a file is a zip archive with a __main__, which Python can run."""
    try:
        with open(path, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _ZIP_END_REACH))
            if _ZIP_END not in file.read():
                return False
    except OSError:
        return False
    import zipfile

    try:
        with zipfile.ZipFile(path) as archive:
            return any(name in {"__main__.py", "__main__.pyc"} for name in archive.namelist())
    except (OSError, zipfile.BadZipFile):
        return False
