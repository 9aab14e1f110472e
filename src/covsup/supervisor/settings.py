"""The settings of a run: the command line, [tool.covsup], and coverage.py's own files.

In this order of precedence. Whatever is relative is made absolute here, because it means what it
means where `covsup run` was started. coverage.py is imported only if a file that it would read is
there.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from covsup.supervisor.errors import UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable, Mapping, Sequence

CORES: Final = ("auto", "monitoring", "settrace")
CONCURRENCY: Final = (
    "auto", "thread", "multiprocessing", "gevent", "eventlet", "greenlet", "asyncio",
    "fork", "exec", "spawn", "exit",
)  # fmt: skip
DYNAMIC_CONTEXTS: Final = (
    "test_function", "test", "process", "thread", "greenlet", "task", "request",
)  # fmt: skip
"""The contexts that are recorded of themselves; `test` is told by our pytest plugin."""

DEFAULT_GRACE: Final = 5.0
_NO_FILE: Final = "false"
"""In a session's settings: no settings file of coverage.py's was to be read (`--rcfile=`)."""

# coverage.py's own search, in its order.
_OWN_FILES: Final = (".coveragerc", ".coveragerc.toml")
_SHARED_FILES: Final = ("setup.cfg", "tox.ini", "pyproject.toml")
_VARIABLES: Final = ("COVERAGE_RCFILE", "COVERAGE_FORCE_CONFIG")

# coverage.py has no words for these ways of starting and ending processes, so its settings cannot
# mean to leave them out.
_BEYOND_COVERAGE: Final = ("fork", "exec", "spawn", "exit")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSettings:
    """What holds for one `covsup run`."""

    branch: bool
    core: str
    concurrency: tuple[str, ...]
    context: str
    dynamic_context: tuple[str, ...]
    source_dirs: tuple[str, ...]
    source_pkgs: tuple[str, ...]
    include: tuple[str, ...]
    omit: tuple[str, ...]
    cover_pylib: bool
    plugins: tuple[str, ...]  # modules that measured processes load
    plugin_config: str  # coverage.py's configuration, for them
    plugin_path: tuple[str, ...]
    data_file: Path  # absolute
    rcfile: str  # as in a session's settings: absolute; "" = coverage.py's own search
    append: bool
    parallel_mode: bool
    grace: float  # seconds
    strict: bool
    fail_under: float | None  # percent
    leave_orphans: bool
    warnings: tuple[str, ...]  # what is odd about the settings, a sentence each


@dataclass(frozen=True, slots=True, kw_only=True)
class _Coverage:
    """What coverage.py's files and variables say."""

    branch: bool = False
    concurrency: tuple[str, ...] = ()
    context: str = ""
    dynamic_context: tuple[str, ...] = ()
    cover_pylib: bool = False
    data_file: str = ".coverage"
    include: tuple[str, ...] = ()
    omit: tuple[str, ...] = ()
    source: tuple[str, ...] = ()
    source_dirs: tuple[str, ...] = ()
    source_pkgs: tuple[str, ...] = ()
    plugins: tuple[str, ...] = ()
    plugin_config: str = ""
    plugin_path: tuple[str, ...] = ()
    plugin_contexts: bool = False
    warnings: tuple[str, ...] = ()


def run_settings(options: argparse.Namespace, words: Sequence[str] = ()) -> RunSettings:
    """Bring together what was said; `words` are the target's. Raises UsageError."""
    theirs = _read_coverage(options.rcfile, words)
    ours = read_own(options.rcfile)

    concurrency = _concurrency(options.concurrency, ours, theirs)
    source_dirs = [*theirs.source_dirs]
    source_pkgs = [*theirs.source_pkgs]
    for source in _listed(options.source) or theirs.source:
        (source_dirs if os.path.isdir(source) else source_pkgs).append(source)  # noqa: PTH112
    include = _prepared(_listed(options.include) or theirs.include)
    omit = _prepared(_listed(options.omit) or theirs.omit)
    grace = _number(options.grace, ours, "grace")
    warnings = list(theirs.warnings)
    if include and (source_dirs or source_pkgs):
        warnings.append("--include is ignored because --source is set")
        include = ()
    return RunSettings(
        branch=options.branch or theirs.branch,
        core=_core(options.core, ours),
        concurrency=concurrency,
        context=theirs.context if options.context is None else options.context,
        dynamic_context=(
            *_dynamic_context(options.dynamic_context, ours, theirs),
            *(["plugin"] if theirs.plugin_contexts else []),
        ),
        source_dirs=_canonical_directories(source_dirs),
        source_pkgs=tuple(dict.fromkeys(source_pkgs)),
        include=include,
        omit=omit,
        cover_pylib=options.pylib or theirs.cover_pylib,
        plugins=theirs.plugins,
        plugin_config=theirs.plugin_config,
        plugin_path=theirs.plugin_path,
        data_file=_absolute(options.data_file or theirs.data_file),
        rcfile=rcfile_for_later(options.rcfile),
        append=options.append,
        parallel_mode=options.parallel_mode,
        grace=DEFAULT_GRACE if grace is None else grace,
        strict=options.strict or _flag(ours, "strict"),
        fail_under=_number(options.fail_under, ours, "fail_under"),
        leave_orphans=options.leave_orphans or _flag(ours, "leave_orphans"),
        warnings=tuple(warnings),
    )


def data_file_of(rcfile: str | None, data_file: str | None) -> Path:
    """The data file that a command means; absolute. Raises UsageError."""
    return _absolute(data_file or _read_coverage(rcfile).data_file)


def rcfile_for_coverage(rcfile: str | None) -> str | bool:
    """What coverage.py wants to be told of `--rcfile`: a path, True to search, False for none."""
    return True if rcfile is None else rcfile or False


def rcfile_for_later(rcfile: str | None) -> str:
    """`--rcfile` as it is kept in a session's settings."""
    if rcfile is None:
        return ""
    return os.path.abspath(rcfile) if rcfile else _NO_FILE  # noqa: PTH100 - links stay


def rcfile_of_session(kept: str) -> str | bool:
    """What coverage.py wants to be told of a session's `rcfile`."""
    return {"": True, _NO_FILE: False}.get(kept, kept)


def read_own(rcfile: str | None) -> Mapping[str, Any]:
    """[tool.covsup] of `rcfile`, if that is TOML, else of pyproject.toml here. Raises UsageError."""
    path = Path(rcfile) if rcfile and rcfile.endswith(".toml") else Path("pyproject.toml")
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    if b"covsup" not in raw:
        return {}
    import tomllib  # noqa: PLC0415 - only where there is something for us

    try:
        table = tomllib.loads(raw.decode()).get("tool", {}).get("covsup", {})
    except ValueError as error:
        raise UsageError(f"{path}: {error}") from error
    if not isinstance(table, dict):
        raise UsageError(f"{path}: [tool.covsup] is not a table")
    for key in table:
        if key not in _OWN_KEYS:
            raise UsageError(f"{path}: [tool.covsup] has no {key!r}{nearest(key, _OWN_KEYS)}")
        if not _OWN_KEYS[key](table[key]):
            raise UsageError(f"{path}: [tool.covsup] {key} = {table[key]!r} has the wrong type")
    return table


def nearest(word: str, words: Iterable[str]) -> str:
    """ "; did you mean 'thread'?" for a misspelt word, or nothing."""
    import difflib  # noqa: PLC0415 - only for a mistake

    found = difflib.get_close_matches(word, list(words), n=1)
    return f"; did you mean {found[0]!r}?" if found else ""


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_words(value: object) -> bool:
    return isinstance(value, str) or (
        isinstance(value, list) and all(isinstance(each, str) for each in value)
    )


_OWN_KEYS: Final[Mapping[str, Callable[[object], bool]]] = {
    "core": lambda value: isinstance(value, str),
    "concurrency": _is_words,
    "dynamic_context": _is_words,
    "grace": _is_number,
    "strict": lambda value: isinstance(value, bool),
    "fail_under": _is_number,
    "leave_orphans": lambda value: isinstance(value, bool),
}


def _flag(ours: Mapping[str, Any], key: str) -> bool:
    return bool(ours.get(key, False))


def _number(option: float | None, ours: Mapping[str, Any], key: str) -> float | None:
    if option is not None:
        return option
    return float(ours[key]) if key in ours else None


def _core(option: str | None, ours: Mapping[str, Any]) -> str:
    core = option if option is not None else str(ours.get("core", "auto"))
    if core not in CORES:
        raise UsageError(f"there is no core {core!r}{nearest(core, CORES)} ({', '.join(CORES)})")
    return core


def _concurrency(
    option: Sequence[str] | None, ours: Mapping[str, Any], theirs: _Coverage
) -> tuple[str, ...]:
    own = ours.get("concurrency", ())
    names = _listed(option) or _listed([own] if isinstance(own, str) else own)
    if not names and theirs.concurrency:
        names = (*theirs.concurrency, *_BEYOND_COVERAGE)
    for name in names:
        if name not in CONCURRENCY:
            raise UsageError(
                f"unknown concurrency {name!r}{nearest(name, CONCURRENCY)}"
                f" (known: {', '.join(CONCURRENCY)})"
            )
    return ("auto",) if not names or "auto" in names else tuple(dict.fromkeys(names))


def _dynamic_context(
    option: Sequence[str] | None, ours: Mapping[str, Any], theirs: _Coverage
) -> tuple[str, ...]:
    own = ours.get("dynamic_context", ())
    names = _listed(option) or _listed([own] if isinstance(own, str) else own)
    for name in names or theirs.dynamic_context:
        if name not in DYNAMIC_CONTEXTS:
            raise UsageError(
                f"unknown dynamic context {name!r}{nearest(name, DYNAMIC_CONTEXTS)}"
                f" (known: {', '.join(DYNAMIC_CONTEXTS)})"
            )
    return tuple(dict.fromkeys(names or theirs.dynamic_context))


def _listed(values: Iterable[str] | None) -> tuple[str, ...]:
    """Options may be repeated, and each may hold several values between commas."""
    return tuple(
        part.strip() for value in values or () for part in value.split(",") if part.strip()
    )


def _absolute(path: str) -> Path:
    return Path(os.path.abspath(path))  # noqa: PTH100 - links stay


def _prepared(patterns: Iterable[str]) -> tuple[str, ...]:
    """Patterns as coverage.py's matchers want them: absolute, or beginning with a wildcard."""
    prepared = []
    for pattern in patterns:
        if pattern.startswith(("*", "?")) or os.path.isabs(pattern):  # noqa: PTH117 - a pattern
            prepared.append(pattern)
        if not pattern.startswith(("*", "?")):
            prepared.append(os.path.realpath(pattern))
    return tuple(dict.fromkeys(prepared))


def _canonical_directories(directories: Iterable[str]) -> tuple[str, ...]:
    canonical = []
    for directory in directories:
        if not os.path.isdir(directory):  # noqa: PTH112
            raise UsageError(f"source directory {directory} is not a directory")
        path = os.path.realpath(directory)
        if path == os.path.dirname(path):  # noqa: PTH120
            raise UsageError("a source directory cannot be the root of the file system")
        canonical.append(path)
    return tuple(dict.fromkeys(canonical))


def _read_coverage(rcfile: str | None, words: Sequence[str] | None = None) -> _Coverage:
    """What coverage.py would find in its files and variables.

    Its plugins are loaded, and configure, only for a target (`words`).
    """
    data_file = os.environ.get("COVERAGE_FILE") or ".coverage"
    if not _has_files(rcfile):
        return _Coverage(data_file=data_file)
    import warnings  # noqa: PLC0415 - the settings are usually read without them

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        import coverage  # noqa: PLC0415 - the slowest import of all
        from coverage.exceptions import CoverageException, CoverageWarning  # noqa: PLC0415

        try:
            config = coverage.Coverage(config_file=rcfile_for_coverage(rcfile))
        except CoverageException as error:
            raise UsageError(str(error)) from error
        except (ValueError, OSError) as error:
            raise UsageError(f"coverage.py's settings cannot be read: {error}") from error

    from covsup.supervisor.plugins import (  # noqa: PLC0415 - it imports coverage.py, too
        PluginSettings,
        configure,
        places_of_target,
    )

    plugins = PluginSettings()
    if words is not None:
        plugins = configure(config, places_of_target(words))

    def listed(option: str) -> tuple[str, ...]:
        value = config.get_option(option)
        return tuple(map(str, value)) if isinstance(value, list | tuple) else ()

    return _Coverage(
        branch=bool(config.get_option("run:branch")),
        concurrency=listed("run:concurrency"),
        context=str(config.get_option("run:context") or ""),
        dynamic_context=tuple(
            name
            for name in _listed([str(config.get_option("run:dynamic_context") or "")])
            if name != "none"  # coverage.py's word for it
        ),
        cover_pylib=bool(config.get_option("run:cover_pylib")),
        data_file=str(config.get_option("run:data_file") or data_file),
        include=listed("run:include"),
        omit=listed("run:omit"),
        source=listed("run:source"),
        source_dirs=listed("run:source_dirs"),
        source_pkgs=listed("run:source_pkgs"),
        plugins=plugins.modules,
        plugin_config=plugins.config,
        plugin_path=plugins.path,
        plugin_contexts=plugins.contexts,
        warnings=tuple(
            str(each.message) for each in caught if issubclass(each.category, CoverageWarning)
        ),
    )


def _has_files(rcfile: str | None) -> bool:
    """Whether coverage.py would find any settings; an unreadable file of its own is refused."""
    if rcfile == "":
        return False
    if rcfile or any(os.environ.get(name) for name in _VARIABLES):
        return True
    for name in (*_OWN_FILES, *_SHARED_FILES):
        try:
            with open(name, "rb") as file:  # noqa: PTH123 - speed
                if name in _OWN_FILES or b"coverage" in file.read():
                    return True
        except FileNotFoundError:
            continue
        except OSError as error:
            raise UsageError(f"cannot read {name}: {error.strerror}") from error
    return False
