"""coverage.py's file reporters, by its settings."""

from __future__ import annotations

import os
import platform
import sys
import warnings
from _blake2 import blake2b
from typing import TYPE_CHECKING

import coverage
from coverage import Coverage
from coverage.exceptions import CoverageException
from coverage.files import GlobMatcher, prep_patterns
from coverage.misc import join_regex
from coverage.python import PythonFileReporter, get_zip_bytes

from covsup.datafile.errors import CovsupError
from covsup.datafile.source_files import read_source
from covsup.views.sources.analysis import analyse

if TYPE_CHECKING:
    from typing import Final

    from coverage.plugin import FileReporter

    from covsup.views.sources.analysis import SourceAnalysis

_COPIES_LINES: Final = (3, 12) <= sys.version_info < (3, 12, 4)
"""Whether tokenize copies the line into each of its tokens (CPython's issue 119118)."""

_LONGEST_COPIED: Final = 50_000
"""Bytes. A line of this length can have 50,000 tokens, which are 2.5 GB."""


class SourceUnavailable(CovsupError):
    """A source file cannot be read or parsed."""


class SourceSettingsUnusable(CovsupError):
    """coverage.py refuses its settings file, or a plugin in it."""


class Reporters:
    """Makes analyses of source files by one configuration of coverage.py."""

    def __init__(self, config_file: str | bool) -> None:
        """`config_file` is coverage.py's. Raises SourceSettingsUnusable."""
        self._matchers: tuple[GlobMatcher | None, ...] | None = None
        before = sys.path[:]
        # coverage.py's reports search the current directory for plugins, too.
        sys.path.append(_current_directory())
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # `covsup run` has warned about unknown settings
                self._coverage = Coverage(data_file=None, config_file=config_file)
                self._coverage._init()  # noqa: SLF001 - its reports do so; it loads the plugins
        except (Exception, SystemExit) as error:  # a plugin may raise anything
            raise SourceSettingsUnusable(
                f"coverage.py's settings: {' '.join(str(error).split()) or repr(error)}"
            ) from error
        finally:
            sys.path[:] = before

    def is_reported(self, path: str) -> bool:
        """Whether reports have this file: coverage.py's [report] include and omit."""
        if self._matchers is None:
            config = self._coverage.config
            self._matchers = tuple(
                GlobMatcher(prep_patterns(patterns), "report") if patterns else None
                for patterns in (config.report_include, config.report_omit)
            )
        include, omit = self._matchers
        full = os.path.abspath(path)
        return (include is None or include.match(full)) and (omit is None or not omit.match(full))

    def settings_key(self) -> bytes:
        """A digest of all that an analysis depends on, apart from the source."""
        config = self._coverage.config
        parts = (
            sys.implementation.cache_tag,
            sys.version,
            coverage.__version__,
            sys.byteorder,
            self._coverage._exclude_regex("exclude"),  # noqa: SLF001 - as its reporter does
            join_regex(config.partial_list + config.partial_always_list),
        )
        return blake2b("\0".join(map(str, parts)).encode(), digest_size=16).digest()

    def analyse(self, path: str, plugin: str) -> SourceAnalysis:
        """The analysis of a file; `plugin` traced it, or "". Raises SourceUnavailable."""
        if not plugin and _COPIES_LINES:
            _check_line_lengths(path)
        try:
            return analyse(self._reporter(path, plugin))
        except CoverageException as error:
            raise SourceUnavailable(_in_one_line(path, str(error))) from error
        except RecursionError as error:
            raise SourceUnavailable(f"{path}: the source is nested too deeply") from error
        except SyntaxError as error:
            raise SourceUnavailable(_in_one_line(path, f"couldn't parse it: {error}")) from error
        except (Exception, SystemExit) as error:  # a plugin may raise anything
            raise SourceUnavailable(
                _in_one_line(path, f"it cannot be analysed: {error!r}")
            ) from error

    def describe_arc(self, path: str, plugin: str, start: int, end: int) -> str:
        """coverage.py's sentence why an arc was not taken. Raises SourceUnavailable."""
        try:
            reporter = self._reporter(path, plugin)
            reporter.arcs()
            return reporter.missing_arc_description(start, end)
        except (CoverageException, RecursionError) as error:
            raise SourceUnavailable(_in_one_line(path, str(error))) from error

    def _reporter(self, path: str, plugin: str) -> FileReporter:
        if not plugin:
            return PythonFileReporter(path, self._coverage)
        tracers = {
            each._coverage_plugin_name: each  # noqa: SLF001 - its name in data files
            for each in self._coverage._plugins.file_tracers  # noqa: SLF001 - as its reports do
        }
        if plugin not in tracers:
            raise SourceUnavailable(
                f"{path}: the plugin {plugin} of coverage.py measured it, and is not in the settings"
            )
        reporter = tracers[plugin].file_reporter(path)
        if isinstance(reporter, str):
            return PythonFileReporter(path, self._coverage)
        return reporter


def read_source_bytes(path: str) -> bytes | None:
    """The contents of a source file, which may be in a zip file; None where there is none."""
    found = read_source(path)
    if found is not None:
        return found.text
    try:
        return get_zip_bytes(path)
    except (OSError, ValueError):
        return None


def _check_line_lengths(path: str) -> None:
    """Raise SourceUnavailable if this Python's tokenizer would take all memory of the machine."""
    longest = max(map(len, (read_source_bytes(path) or b"").split(b"\n")))
    if longest > _LONGEST_COPIED:
        raise SourceUnavailable(
            f"{path}: a line has {longest:,} bytes, for which Python {platform.python_version()}"
            " needs too much memory; 3.12.4 and later need little"
        )


def _current_directory() -> str:
    try:
        return os.getcwd()
    except OSError:  # it was deleted
        return ""


def _in_one_line(path: str, message: str) -> str:
    text = " ".join(message.split())
    return text if path in text else f"{path}: {text}"
