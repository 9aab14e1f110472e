"""Settings files as they are written: sections and keys, with their line numbers.

coverage.py reads its own settings. It does not report which keys a file has, in which lines, or
which other tools have a section in the same file.

Must never know: which keys are right.
"""

from __future__ import annotations

import re

from covsup.hints import TYPE_CHECKING, NamedTuple
from covsup.supervisor.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path
    from typing import Any, Final

COVERAGE_FILES: Final = (".coveragerc", ".coveragerc.toml")
"""Files that contain settings of coverage.py alone."""

SHARED_FILES: Final = ("setup.cfg", "tox.ini", "pyproject.toml")
"""Files that several tools share. coverage.py reads the first that has settings for it."""

_HEADER: Final = re.compile(r"\s*\[\[?\s*(?P<name>[^\]]*?)\s*\]")
_KEY: Final = re.compile(r"(?P<key>[^\s=:#;\[][^=:]*?)\s*[=:]")
_TOML_KEY: Final = re.compile(r"\s*(?P<key>[\w\-.\"' ]+?)\s*=")


class Entry(NamedTuple):
    """One key of a section."""

    section: str  # as in the file; in TOML with dots
    key: str
    value: Any  # a string, unless the file is TOML
    line: int  # 0 = unknown


class Section(NamedTuple):
    """One section of coverage.py's settings."""

    name: str  # for coverage.py: run
    written: str  # in the file: coverage:run
    line: int
    entries: tuple[Entry, ...]


def read_entries(path: Path) -> list[Entry]:
    """Every key of a settings file. Raises UsageError."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise UsageError(f"{path}: {error}") from error
    entries = _of_toml if path.suffix == ".toml" else _of_ini
    try:
        return list(entries(text, path.name))
    except ValueError as error:
        raise UsageError(f"{path}: {error}") from error


def coverage_prefix(path: Path) -> str:
    """The prefix of the names of coverage.py's sections in a file."""
    if path.name in COVERAGE_FILES:
        return ""
    return "tool.coverage." if path.suffix == ".toml" else "coverage:"


def coverage_sections(path: Path, *, own: bool) -> list[Section]:
    """The sections that are coverage.py's, or would be if they were spelt right.

    `own`: the file is coverage.py's alone, so its sections need no prefix.
    """
    by_section: dict[str, list[Entry]] = {}
    for entry in read_entries(path):
        by_section.setdefault(entry.section, []).append(entry)
    prefix = "tool.coverage" if path.suffix == ".toml" else "coverage:"
    found = []
    for written, entries in by_section.items():
        if written.startswith(prefix):
            name = written.removeprefix(prefix).lstrip(".")
        elif own:
            name = written
        else:
            continue
        first = min(entry.line for entry in entries)
        found.append(Section(name=name, written=written, line=first, entries=tuple(entries)))
    return found


def _of_ini(text: str, name: str) -> Iterator[Entry]:
    import configparser

    # Like coverage.py: no interpolation, and a repeated key is an error.
    parser = configparser.ConfigParser(interpolation=None, default_section="")
    try:
        parser.read_string(text, name)
    except configparser.Error as error:
        raise ValueError(" ".join(str(error).split())) from error
    lines = dict(_lines_of_ini(text))
    for section in parser.sections():
        for key, value in parser.items(section):
            yield Entry(section=section, key=key, value=value, line=lines.get((section, key), 0))


def _lines_of_ini(text: str) -> Iterator[tuple[tuple[str, str], int]]:
    section = ""
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.match(line):
            section = header["name"]
        elif key := _KEY.match(line):
            yield (section, key["key"].lower()), number


def _of_toml(text: str, _: str) -> Iterator[Entry]:
    import tomllib

    table = tomllib.loads(text)
    lines = dict(_lines_of_toml(text))
    yield from _flattened(table, "", lines)


def _flattened(table: Mapping[str, Any], name: str, lines: Mapping[str, int]) -> Iterator[Entry]:
    """Every key of every table, except those of tables in a list."""
    for key, value in table.items():
        full = f"{name}.{key}" if name else key
        if isinstance(value, dict):
            yield from _flattened(value, full, lines)
        else:
            # A key of an inline table, or one with dots, is in the line of its table.
            near = full
            while near and near not in lines:
                near = near.rpartition(".")[0]
            yield Entry(section=name, key=key, value=value, line=lines.get(near, 0))


def _lines_of_toml(text: str) -> Iterator[tuple[str, int]]:
    section = ""
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.match(line):
            section = _unquoted_name(header["name"])
            yield section, number
        elif key := _TOML_KEY.match(line):
            name = _unquoted_name(key["key"])
            yield f"{section}.{name}" if section else name, number


def _unquoted_name(name: str) -> str:
    """A dotted name without quotes and spaces."""
    return ".".join(part.strip().strip("\"'") for part in name.split("."))
