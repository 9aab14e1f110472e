"""The settings of a run: the command line, [tool.covsup], and coverage.py's own files.

In this order of precedence. Whatever is relative is made absolute here, because it means what it
means where `covsup run` was started.
"""

from __future__ import annotations

import os
from pathlib import Path

from covsup.datafile.session.directory import set_sessions_parent
from covsup.hints import TYPE_CHECKING, NamedTuple
from covsup.supervisor.errors import UsageError
from covsup.supervisor.settings.compatibility import RUN_OPTIONS, UNNEEDED_SETTINGS, Support
from covsup.supervisor.settings.coverage_settings import rcfile_to_store, read_coverage_settings
from covsup.supervisor.settings.covsup_settings import (
    CONCURRENCY,
    CORES,
    DYNAMIC_CONTEXTS,
    check_names,
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
"""Of coverage.py's options, those that covsup takes only to say what to do."""

# coverage.py has no words for these ways of starting and ending processes, so its settings cannot
# mean to leave them out.
_UNKNOWN_TO_COVERAGE: Final = ("fork", "exec", "spawn", "exit")


class RunSettings(NamedTuple):
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
    carrier: bool
    announce: bool  # say also that all went well: somebody reads it on a terminal
    for_pytest: bool  # the target is a pytest that the startup file has restarted
    warnings: tuple[str, ...]  # what is odd about the settings, a sentence each


def resolve_run_settings(options: argparse.Namespace, words: Sequence[str] = ()) -> RunSettings:
    """Bring together what was said; `words` are the target's. Raises UsageError."""
    ours = read_covsup_settings(options.rcfile)
    set_sessions_parent(ours.get("sessions", ""))
    theirs = read_coverage_settings(options.rcfile, words)

    core = ours.get("core", "auto") if options.core is None else options.core
    check_names([core], CORES, "core")
    source_dirs = [*theirs.source_dirs]
    source_pkgs = [*theirs.source_pkgs]
    source_files = []
    for source in split_lists(options.source) or theirs.source:
        if os.path.isdir(source):  # noqa: PTH112
            source_dirs.append(source)
        elif os.path.isfile(source):  # noqa: PTH113
            source_files.append(os.path.realpath(source))
        elif os.sep in source and options.source:
            raise UsageError(f"--source={source}: there is no such directory or file")
        else:
            source_pkgs.append(source)
    include = _absolute_patterns(split_lists(options.include) or theirs.include)
    omit = _absolute_patterns(split_lists(options.omit) or theirs.omit)
    warnings = [*_coverage_option_remarks(options, theirs.disable_warnings), *theirs.remarks]
    if include and (source_dirs or source_files or source_pkgs):
        if "include-ignored" not in theirs.disable_warnings:
            warnings.append("--include is ignored because --source is set (include-ignored)")
        include = ()
    return RunSettings(
        branch=options.branch or theirs.branch,
        core=core,
        concurrency=_concurrency(options.concurrency, ours, theirs),
        context=theirs.context if options.context is None else options.context,
        dynamic_context=(
            *_dynamic_context(options.dynamic_context, ours, theirs),
            *(["plugin"] if theirs.plugin_contexts else []),
        ),
        # A file is measured as a directory would be that holds nothing else.
        source_dirs=(*_canonical_directories(source_dirs), *dict.fromkeys(source_files)),
        source_pkgs=tuple(dict.fromkeys(source_pkgs)),
        include=include,
        omit=omit,
        cover_pylib=options.pylib or theirs.cover_pylib,
        plugins=theirs.plugins,
        plugin_config=theirs.plugin_config,
        plugin_path=theirs.plugin_path,
        data_file=_absolute(options.data_file or theirs.data_file),
        rcfile=rcfile_to_store(options.rcfile),
        append=options.append,
        parallel_mode=options.parallel_mode,
        grace=ours.get("grace", DEFAULT_GRACE) if options.grace is None else options.grace,
        strict=options.strict or ours.get("strict", False),
        fail_under=ours.get("fail_under") if options.fail_under is None else options.fail_under,
        leave_orphans=options.leave_orphans or ours.get("leave_orphans", False),
        carrier=options.carrier or ours.get("carrier", False),
        announce=not options.quiet and os.isatty(2),
        for_pytest=getattr(options, "for_pytest", False),
        warnings=tuple(warnings),
    )


def _coverage_option_remarks(
    options: argparse.Namespace, disabled: Collection[str]
) -> Iterator[str]:
    """What there is to say of options that only coverage.py has. Raises UsageError."""
    for option, meaning in RUN_OPTIONS.items():
        name = option.lstrip("-").replace("-", "_")
        if name not in _COVERAGE_ONLY_OPTIONS or not getattr(options, name, None):
            continue
        if meaning.support is Support.UNSUPPORTED:
            raise UsageError(f"{option} is not supported: {meaning.note}")
        if UNNEEDED_SETTINGS not in disabled:
            yield f"{option} is not needed and changes nothing: {meaning.note} ({UNNEEDED_SETTINGS})"


def resolve_data_file(rcfile: str | None, data_file: str | None) -> Path:
    """The data file that a command means; absolute. Raises UsageError."""
    choose_sessions_directory(rcfile)
    return _absolute(data_file or read_coverage_settings(rcfile).data_file)


def choose_sessions_directory(rcfile: str | None) -> None:
    """Have sessions found where our settings say. Raises UsageError."""
    set_sessions_parent(read_covsup_settings(rcfile).get("sessions", ""))


def configured_command_line(rcfile: str | None) -> list[str]:
    """The words of [run] command_line, which is what runs where no TARGET was named.

    Raises UsageError.
    """
    import shlex  # noqa: PLC0415 - only where nothing was named

    try:
        words = shlex.split(read_coverage_settings(rcfile).command_line)
    except ValueError as error:
        raise UsageError(f"[run] command_line in coverage.py's settings: {error}") from error
    return ["-m", *words[1:]] if words[:1] == ["--module"] else words


def _concurrency(
    option: Sequence[str] | None, ours: Mapping[str, Any], theirs: CoverageSettings
) -> tuple[str, ...]:
    names = split_lists(option) or ours.get("concurrency", ())
    if not names and theirs.concurrency:
        names = (*theirs.concurrency, *_UNKNOWN_TO_COVERAGE)
    check_names(names, CONCURRENCY, "concurrency")
    return ("auto",) if not names or "auto" in names else tuple(dict.fromkeys(names))


def _dynamic_context(
    option: Sequence[str] | None, ours: Mapping[str, Any], theirs: CoverageSettings
) -> tuple[str, ...]:
    names = split_lists(option) or ours.get("dynamic_context", ()) or theirs.dynamic_context
    check_names(names, DYNAMIC_CONTEXTS, "dynamic context")
    return tuple(dict.fromkeys(names))


def _absolute(path: str) -> Path:
    return Path(os.path.abspath(path))  # noqa: PTH100 - links stay


def _absolute_patterns(patterns: Iterable[str]) -> tuple[str, ...]:
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
