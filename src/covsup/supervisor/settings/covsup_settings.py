"""covsup's own settings: which there are, what each must be, and where they are read.

They are in `[tool.covsup]` of a TOML file, or in `[covsup]` of any other, and in one file only. A
mistake in them is refused before anything runs: the message names the file, the key and what to write.

Must never know: the command line, and the values that coverage.py's settings have.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from covsup.hints import TYPE_CHECKING, NamedTuple
from covsup.supervisor.errors import UsageError
from covsup.supervisor.messages import did_you_mean, did_you_mean_or_all
from covsup.supervisor.settings.compatibility import SETTINGS
from covsup.supervisor.settings.files import COVERAGE_FILES, coverage_prefix, read_entries

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any, Final

CORES: Final = ("auto", "monitoring", "settrace", "settrace-fast")
CONCURRENCY: Final = (
    "auto", "thread", "multiprocessing", "gevent", "eventlet", "greenlet", "asyncio",
    "fork", "exec", "spawn", "exit",
)  # fmt: skip
LONGEST_GRACE: Final = 1e9
_FILES: Final = ("pyproject.toml", ".coveragerc", ".coveragerc.toml", "setup.cfg", "tox.ini")
_INI_SECTION: Final = "covsup"
_TOML_SECTION: Final = "tool.covsup"
# Headings in the style of another file or tool, which would be ignored without a message.
_WRONG_SECTION: Final = re.compile(
    rb"(?m)^[ \t]*\[[ \t]*(tool[.:]covsup\b[^\]\n]*|covsup[.:][^\]\n]*)\]"
)
_INI_HEADING: Final = re.compile(rb"(?m)^\[(covsup)\]")


class Key(NamedTuple):
    """One of covsup's settings."""

    expected: str  # what to write, in words
    example: str  # in TOML
    parse: Callable[[object], Any]  # raises ValueError or TypeError


def check_names(names: Iterable[str], known: Sequence[str], noun: str) -> None:
    """Raise UsageError for a name that is not in `known`."""
    for name in names:
        if name not in known:
            raise UsageError(
                f"unknown {noun} {name!r}{did_you_mean(name, known)} (known: {', '.join(known)})"
            )


def split_lists(values: Iterable[str] | None) -> tuple[str, ...]:
    """The values of an option that may be repeated, and may have several values between commas."""
    return tuple(
        part.strip() for value in values or () for part in value.split(",") if part.strip()
    )


def _parse_flag(value: object) -> bool:
    if isinstance(value, bool):
        return value
    words = {"true": True, "yes": True, "on": True, "1": True,
             "false": False, "no": False, "off": False, "0": False}  # fmt: skip
    if isinstance(value, _Untyped) and value.lower() in words:
        return words[value.lower()]
    raise ValueError


def _number_parser(below: float) -> Callable[[object], float]:
    def number(value: object) -> float:
        if isinstance(value, _Untyped) or (
            isinstance(value, int | float) and not isinstance(value, bool)
        ):
            found = float(value)
        else:
            raise TypeError
        if not 0 <= found <= below:
            raise ValueError
        return found

    return number


def dynamic_contexts() -> tuple[str, ...]:
    """The kinds of contexts that covsup records by itself; covsup's pytest plugin records `test`."""
    from covsup.datafile._fold import CONTEXT_KINDS  # few commands name a context

    return (*CONTEXT_KINDS, "test")


def _words_parser(
    known: Callable[[], Sequence[str]], noun: str
) -> Callable[[object], tuple[str, ...]]:
    def words(value: object) -> tuple[str, ...]:
        values = [value] if isinstance(value, str) else value
        if not isinstance(values, list) or not all(isinstance(each, str) for each in values):
            raise TypeError
        names = split_lists(part for each in values for part in each.splitlines())
        check_names(names, known(), noun)
        return names

    return words


def _parse_core(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    check_names([value], CORES, "core")
    return str(value)


def _parse_directory(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise TypeError
    return os.path.expanduser(os.path.expandvars(value))


KEYS: Final[Mapping[str, Key]] = {
    "core": Key(f"one of {', '.join(CORES)}", 'core = "auto"', _parse_core),
    "concurrency": Key(
        "a list of names",
        'concurrency = ["thread"]',
        _words_parser(lambda: CONCURRENCY, "concurrency"),
    ),
    "dynamic_context": Key(
        "a list of names",
        'dynamic_context = ["test_function"]',
        _words_parser(dynamic_contexts, "dynamic context"),
    ),
    "grace": Key("a number of seconds", "grace = 5.0", _number_parser(LONGEST_GRACE)),
    "strict": Key("true or false", "strict = true", _parse_flag),
    "fail_under": Key("a number from 0 to 100", "fail_under = 90", _number_parser(100)),
    "carrier": Key("true or false", "carrier = true", _parse_flag),
    "leave_orphans": Key("true or false", "leave_orphans = true", _parse_flag),
    "sessions": Key("the path of a directory", 'sessions = "/var/tmp/covsup"', _parse_directory),
}


class _Untyped(str):
    """A value from a file without types, in which everything is text."""

    __slots__ = ()


def read_covsup_settings(rcfile: str | None) -> Mapping[str, Any]:
    """covsup's settings: from the named file, or else from the one here that has any.

    Raises UsageError.
    """
    named = rcfile if rcfile is not None else os.environ.get("COVERAGE_RCFILE") or None
    if named:
        found = _table(Path(named))
        if found is not None or named.endswith(".toml"):
            return _checked(Path(named), found or {})
    searched = rcfile is None and not named
    files = [Path(name) for name in _FILES if searched or name not in COVERAGE_FILES]
    tables = [(path, table) for path in files if (table := _table(path)) is not None]
    if len(tables) > 1:
        names = " and in ".join(str(path) for path, _ in tables)
        raise UsageError(f"covsup's settings are in {names}: keep them in one file")
    for path, table in tables:
        return _checked(path, table)
    return {}


def section_heading(path: Path) -> str:
    """The heading of covsup's section in a file."""
    return f"[{_TOML_SECTION if path.suffix == '.toml' else _INI_SECTION}]"


def check_key(path: Path, key: str, value: object, *, is_text: bool = False) -> Any:
    """The parsed value of a key. `is_text`: the file has no types. Raises UsageError."""
    value = _Untyped(value) if is_text else value
    where = f"{path}: {section_heading(path)}"
    if key not in KEYS:
        of_coverage = [section for section, keys in SETTINGS.items() if key in keys]
        if of_coverage:
            raise UsageError(
                f"{where} has no {key!r}, which is a setting of coverage.py: write it in"
                f" [{coverage_prefix(path)}{of_coverage[0]}]"
            )
        raise UsageError(f"{where} has no {key!r}{did_you_mean_or_all(key, KEYS)}")
    try:
        return KEYS[key].parse(value)
    except UsageError as error:
        raise UsageError(f"{where} {key}: {error}") from error
    except (ValueError, TypeError):
        raise UsageError(
            f"{where} {key} = {value!r} is not {KEYS[key].expected}: write, for example,"
            f" {KEYS[key].example if path.suffix == '.toml' else _example_for_ini(KEYS[key].example)}"
        ) from None


def _example_for_ini(example: str) -> str:
    return re.sub(r'["\[\]]', "", example)


def _checked(path: Path, table: Mapping[str, object]) -> dict[str, Any]:
    return {key: check_key(path, key, value) for key, value in table.items()}


def _table(path: Path) -> Mapping[str, object] | None:
    """covsup's section of a file, unchecked, or None."""
    try:
        raw = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    if path.suffix == ".toml":
        return _table_of_toml(path, raw) if b"covsup" in raw else None
    if wrong_section := _WRONG_SECTION.search(raw):
        name = wrong_section[1].decode(errors="replace").strip()
        raise UsageError(f"{path}: [{name}] is not read: write [{_INI_SECTION}] instead")
    if not _INI_HEADING.search(raw):
        return None
    return {
        entry.key: _Untyped(entry.value)
        for entry in read_entries(path)
        if entry.section == _INI_SECTION
    }


def _table_of_toml(path: Path, raw: bytes) -> Mapping[str, object] | None:
    import tomllib

    try:
        whole = tomllib.loads(raw.decode())
    except ValueError as error:
        raise UsageError(f"{path}: {error}") from error
    if "covsup" in whole:
        raise UsageError(f"{path}: [covsup] is not read: write [{_TOML_SECTION}] instead")
    tools = whole.get("tool")
    table = tools.get("covsup") if isinstance(tools, dict) else None
    if table is not None and not isinstance(table, dict):
        raise UsageError(f"{path}: [tool.covsup] is not a table")
    return table
