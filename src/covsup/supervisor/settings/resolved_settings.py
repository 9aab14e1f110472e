"""The settings of a run: of the command line, of covsup's section, of coverage.py's files.

They take precedence in this order. Relative paths become absolute here, because they are relative to
the directory in which `covsup run` was started.

Must never know: how a setting reaches a measured process.
"""

from __future__ import annotations

import os
from pathlib import Path

from covsup.datafile.session.places import set_sessions_parent
from covsup.hints import TYPE_CHECKING, NamedTuple
from covsup.supervisor.errors import UsageError
from covsup.supervisor.settings.compatibility import RUN_OPTIONS, UNNEEDED_SETTINGS, Support
from covsup.supervisor.settings.coverage_settings import rcfile_to_store, read_coverage_settings
from covsup.supervisor.settings.covsup_settings import (
    CONCURRENCY,
    CORES,
    check_names,
    dynamic_contexts,
    read_covsup_settings,
    split_lists,
)

if TYPE_CHECKING:
    import argparse
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
    from typing import Any, Final

    from covsup.supervisor.settings.coverage_settings import CoverageSettings

DEFAULT_GRACE: Final = 5.0
_COVERAGE_ONLY_OPTIONS: Final = ("timid", "save_signal", "debug")
"""Options of coverage.py that covsup takes only to print what to do instead."""

# coverage.py has no names for these ways of starting and ending processes, so a list in its settings
# cannot mean to exclude them.
_UNKNOWN_TO_COVERAGE: Final = ("fork", "exec", "spawn", "exit")


class RunSettings(NamedTuple):
    """The settings of one `covsup run`."""

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
    carrier: bool
    announce: bool  # print good news, too: stderr is a terminal
    for_pytest: bool  # the target is a pytest that covsup's startup file restarted
    warnings: tuple[str, ...]  # about the settings, a sentence each


def resolve_run_settings(options: argparse.Namespace, words: Sequence[str] = ()) -> RunSettings:
    """Bring all settings together; `words` are the target's. Raises UsageError."""
    covsup = read_covsup_settings(options.rcfile)
    set_sessions_parent(covsup.get("sessions", ""))
    coverage = read_coverage_settings(options.rcfile, words)

    core = covsup.get("core", "auto") if options.core is None else options.core
    check_names([core], CORES, "core")
    source_dirs = [*coverage.source_dirs]
    source_pkgs = [*coverage.source_pkgs]
    source_files = []
    for source in split_lists(options.source) or coverage.source:
        if os.path.isdir(source):
            source_dirs.append(source)
        elif os.path.isfile(source):
            source_files.append(os.path.realpath(source))
        elif os.sep in source and options.source:
            raise UsageError(f"--source={source}: there is no such directory or file")
        else:
            source_pkgs.append(source)
    include = _absolute_patterns(split_lists(options.include) or coverage.include)
    omit = _absolute_patterns(split_lists(options.omit) or coverage.omit)
    warnings = [*_coverage_option_remarks(options, coverage.disable_warnings), *coverage.remarks]
    if include and (source_dirs or source_files or source_pkgs):
        if "include-ignored" not in coverage.disable_warnings:
            warnings.append("--include is ignored because --source is set (include-ignored)")
        include = ()
    return RunSettings(
        branch=options.branch or coverage.branch,
        core=core,
        concurrency=_concurrency(options.concurrency, covsup, coverage),
        context=coverage.context if options.context is None else options.context,
        dynamic_context=(
            *_dynamic_context(options.dynamic_context, covsup, coverage),
            *(["plugin"] if coverage.plugin_contexts else []),
        ),
        # A file is measured like a directory that contains nothing else.
        source_dirs=(*_canonical_directories(source_dirs), *dict.fromkeys(source_files)),
        source_pkgs=tuple(dict.fromkeys(source_pkgs)),
        include=include,
        omit=omit,
        cover_pylib=options.pylib or coverage.cover_pylib,
        plugins=coverage.plugins,
        plugin_config=coverage.plugin_config,
        plugin_path=coverage.plugin_path,
        data_file=_absolute(options.data_file or coverage.data_file),
        rcfile=rcfile_to_store(options.rcfile),
        append=options.append,
        parallel_mode=options.parallel_mode,
        grace=covsup.get("grace", DEFAULT_GRACE) if options.grace is None else options.grace,
        strict=options.strict or covsup.get("strict", False),
        fail_under=covsup.get("fail_under") if options.fail_under is None else options.fail_under,
        leave_orphans=options.leave_orphans or covsup.get("leave_orphans", False),
        carrier=options.carrier or covsup.get("carrier", False),
        announce=not options.quiet and os.isatty(2),
        for_pytest=getattr(options, "for_pytest", False),
        warnings=tuple(warnings),
    )


def _coverage_option_remarks(
    options: argparse.Namespace, disabled: Collection[str]
) -> Iterator[str]:
    """Warnings about options that only coverage.py has. Raises UsageError for one without effect."""
    for option, meaning in RUN_OPTIONS.items():
        name = option.lstrip("-").replace("-", "_")
        if name not in _COVERAGE_ONLY_OPTIONS or not getattr(options, name, None):
            continue
        if meaning.support is Support.UNSUPPORTED:
            raise UsageError(f"{option} is not supported: {meaning.note}")
        if UNNEEDED_SETTINGS not in disabled:
            yield f"{option} is not needed and changes nothing: {meaning.note} ({UNNEEDED_SETTINGS})"


def resolve_data_file(rcfile: str | None, data_file: str | None) -> Path:
    """The absolute path of the data file that a command means. Raises UsageError."""
    choose_sessions_directory(rcfile)
    return _absolute(data_file or read_coverage_settings(rcfile).data_file)


def choose_sessions_directory(rcfile: str | None) -> None:
    """Look for sessions in the directory that covsup's settings name. Raises UsageError."""
    set_sessions_parent(read_covsup_settings(rcfile).get("sessions", ""))


def configured_command_line(rcfile: str | None) -> list[str]:
    """The words of [run] command_line, the target if the command line has none. Raises UsageError."""
    import shlex

    try:
        words = shlex.split(read_coverage_settings(rcfile).command_line)
    except ValueError as error:
        raise UsageError(f"[run] command_line in coverage.py's settings: {error}") from error
    return ["-m", *words[1:]] if words[:1] == ["--module"] else words


def _concurrency(
    option: Sequence[str] | None, covsup: Mapping[str, Any], coverage: CoverageSettings
) -> tuple[str, ...]:
    names = split_lists(option) or covsup.get("concurrency", ())
    if not names and coverage.concurrency:
        names = (*coverage.concurrency, *_UNKNOWN_TO_COVERAGE)
    check_names(names, CONCURRENCY, "concurrency")
    return ("auto",) if not names or "auto" in names else tuple(dict.fromkeys(names))


def _dynamic_context(
    option: Sequence[str] | None, covsup: Mapping[str, Any], coverage: CoverageSettings
) -> tuple[str, ...]:
    names = split_lists(option) or covsup.get("dynamic_context", ()) or coverage.dynamic_context
    if names:
        check_names(names, dynamic_contexts(), "dynamic context")
    return tuple(dict.fromkeys(names))


def _absolute(path: str) -> Path:
    return Path(os.path.abspath(path))


def _absolute_patterns(patterns: Iterable[str]) -> tuple[str, ...]:
    """Patterns as coverage.py's matchers expect them: absolute, or beginning with a wildcard."""
    prepared = []
    for pattern in patterns:
        if pattern.startswith(("*", "?")) or os.path.isabs(pattern):
            prepared.append(pattern)
        if not pattern.startswith(("*", "?")):
            prepared.append(os.path.realpath(pattern))
    return tuple(dict.fromkeys(prepared))


def _canonical_directories(directories: Iterable[str]) -> tuple[str, ...]:
    canonical = []
    for directory in directories:
        if not os.path.isdir(directory):
            raise UsageError(f"source directory {directory} is not a directory")
        path = os.path.realpath(directory)
        if path == os.path.dirname(path):
            raise UsageError("a source directory cannot be the root of the file system")
        canonical.append(path)
    return tuple(dict.fromkeys(canonical))
