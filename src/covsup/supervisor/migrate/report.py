"""`covsup debug migrate`: what to change in a project that uses coverage.py or pytest-cov.

It reads a project's settings, command lines and start-up snippets, prints what to write instead,
and changes nothing. settings/compatibility.py knows what covsup supports.
"""

from __future__ import annotations

import os
import sys
import textwrap
from collections import Counter
from pathlib import Path

from covsup.hints import TYPE_CHECKING
from covsup.supervisor.errors import UsageError
from covsup.supervisor.messages import printable
from covsup.supervisor.migrate.code import in_code
from covsup.supervisor.migrate.commands import combined_data, in_commands
from covsup.supervisor.migrate.finding import Action
from covsup.supervisor.migrate.platforms import in_platforms
from covsup.supervisor.migrate.settings import asks_for_parallel, in_requirements, in_settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Final

    from covsup.supervisor.migrate.finding import Finding

_WIDTH: Final = 80
_INDENT: Final = "    "
_SKIPPED_DIRECTORIES: Final = frozenset(
    {"node_modules", "build", "dist", "site-packages", "__pycache__", "htmlcov", "venv", "env"}
)
_MAX_DEPTH: Final = 4  # directories below the project's


def migrate(directory: Path, rcfile: str | None) -> int:
    """Print what to change in a project, and give the exit status 0. Raises UsageError."""
    if not directory.is_dir():
        raise UsageError(f"there is no directory {directory}")
    if rcfile and not (directory / rcfile).is_file():
        raise UsageError(f"there is no file {directory / rcfile}")
    findings = sorted(
        dict.fromkeys(findings_in(directory, rcfile)), key=lambda each: (each.path, each.line)
    )
    for finding in findings:
        sys.stdout.write("".join(f"{line}\n" for line in _finding_lines(finding)))
    sys.stdout.write(f"{textwrap.fill(_summary(findings), _WIDTH)}\n")
    return 0


def findings_in(directory: Path, rcfile: str | None) -> Iterator[Finding]:
    """Every place in a project that has to do with coverage.py or pytest-cov."""
    files = list(_files(directory))
    data = combined_data(directory, files, parallel=asks_for_parallel(directory, rcfile))
    yield from in_settings(directory, rcfile)
    yield from in_requirements(directory, files)
    yield from in_commands(directory, files, data)
    yield from in_code(directory, files, data)
    yield from in_platforms(directory, files)


def _files(directory: Path) -> Iterator[Path]:
    """The project's files that may matter, without those of environments and build directories."""
    for place, names, files in os.walk(directory):
        here = Path(place)
        depth = len(here.relative_to(directory).parts)
        names[:] = sorted(
            name
            for name in names
            if depth < _MAX_DEPTH
            and name not in _SKIPPED_DIRECTORIES
            and (not name.startswith(".") or name in {".github", ".circleci", ".ci"})
            and not os.path.exists(here / name / "pyvenv.cfg")  # never raises
        )
        for file in sorted(files):
            yield here / file


def _finding_lines(finding: Finding) -> Iterator[str]:
    where = f"{finding.path}:{finding.line}:" if finding.line else f"{finding.path}:"
    found = printable(" ".join(finding.found.split()))
    if len(where) + len(found) + 1 <= _WIDTH:
        yield f"{where} {found}"
    else:
        yield where
        yield from _wrapped(found)
    match finding.action:
        case Action.CHANGE if finding.instead:
            yield from _command(printable(finding.instead))
            if finding.why:
                yield from _wrapped(f"({finding.why})")
        case Action.CHANGE:
            yield from _wrapped(finding.why)
        case _:
            why = f": {finding.why}" if finding.why else ""
            yield from _wrapped(f"{finding.action.value}{why}")


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(
        printable(text), _WIDTH, initial_indent=_INDENT, subsequent_indent=_INDENT,
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip


def _command(text: str) -> list[str]:
    """A command line to write, continued with backslashes if it is long."""
    lines = textwrap.wrap(
        text, _WIDTH - 2, initial_indent=f"{_INDENT}write: ", subsequent_indent=_INDENT * 3,
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip
    return [f"{line} \\" for line in lines[:-1]] + lines[-1:]


def _summary(findings: Iterable[Finding]) -> str:
    counts = Counter(finding.action for finding in findings)
    if not counts:
        return "Nothing to change: settings and command lines stay as they are."
    counted = [
        f"{counts[action]} {words}"
        for action, words in (
            (Action.CHANGE, "to change"),
            (Action.DROP, "no longer needed"),
            (Action.UNSUPPORTED, "not supported"),
        )
        if counts[action]
    ]
    if counts[Action.CHANGE]:
        return f"{', '.join(counted)}; everything else stays as it is. No file was changed."
    rest = f" ({', '.join(counted)})" if counted else ""
    return f"Nothing has to change{rest}. What is not needed has no effect and may stay."
