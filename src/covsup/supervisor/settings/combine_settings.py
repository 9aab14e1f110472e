"""The settings of a combination: the data file, and the paths under which files are reported."""

from __future__ import annotations

import functools
import os
import re
from pathlib import Path
from types import MappingProxyType

from covsup.datafile.errors import CovsupError
from covsup.datafile.journal.by_value_names import is_sent_code
from covsup.hints import TYPE_CHECKING, NamedTuple
from covsup.supervisor.errors import UsageError
from covsup.supervisor.settings.coverage_settings import (
    config_file_argument,
    config_file_of_session,
    has_settings_file,
)
from covsup.supervisor.settings.resolved_settings import choose_sessions_directory

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Self

    from covsup.datafile.session.settings import Settings


class PathsUnusable(CovsupError):
    """coverage.py refuses [paths] of its settings."""


class CombineSettings(NamedTuple):
    """coverage.py's settings that matter when data are combined."""

    data_file: Path
    paths: Mapping[str, Sequence[str]] = MappingProxyType({})
    relative_files: bool = False
    namespace_packages: bool = False
    disable_warnings: frozenset[str] = frozenset()

    @classmethod
    def of_session(cls, settings: Settings) -> Self:
        """Those of the directory in which a session was opened. Raises UsageError."""
        return cls.read(config_file_of_session(settings.rcfile), Path(settings.data_file))

    @classmethod
    def of_command(cls, rcfile: str | None, data_file: str | None) -> Self:
        """Those of this directory, for a command with --rcfile and --data-file. Raises UsageError."""
        choose_sessions_directory(rcfile)
        path = None if data_file is None else Path(data_file)
        return cls.read(config_file_argument(rcfile), path)

    @classmethod
    def read(cls, rcfile: str | bool = True, data_file: Path | None = None) -> Self:
        """Those of coverage.py's settings file: `rcfile`, or the one it finds (True), or none (False).

        `data_file` takes precedence over the file's. Raises UsageError.
        """
        if data_file is not None and not has_settings_file(rcfile):
            return cls(data_file=_absolute(data_file))

        from coverage import Coverage
        from coverage.exceptions import CoverageException

        try:
            settings = Coverage(
                data_file=None if data_file is None else os.fspath(data_file),
                config_file=rcfile,
            )
        except CoverageException as error:
            raise UsageError(str(error)) from error
        paths = settings.get_option("paths")
        named = settings.get_option("run:data_file")
        disabled = settings.get_option("run:disable_warnings")
        return cls(
            data_file=_absolute(data_file or str(named)),
            paths=paths if isinstance(paths, dict) else {},
            relative_files=bool(settings.get_option("run:relative_files")),
            namespace_packages=bool(settings.get_option("report:include_namespace_packages")),
            disable_warnings=frozenset(map(str, disabled if isinstance(disabled, list) else ())),
        )

    def map_path(self) -> Callable[[str], str]:
        """Make the function that gives the path under which a file is reported.

        Its result depends on the path alone. coverage.py's `PathAliases` with relative files makes a
        pattern of each directory that it meets, so its results depend on the order: tests/util.py,
        if it comes first, would replace pkg/tests/util.py. Raises PathsUnusable.
        """
        if not self.paths and not self.relative_files:
            return str

        from coverage.exceptions import CoverageException
        from coverage.files import PathAliases

        def aliases() -> PathAliases:
            """The aliases of the settings, without any that were made while mapping."""
            made = PathAliases(relative=self.relative_files)
            for result, *patterns in self.paths.values():
                for pattern in patterns:
                    made.add(pattern, result)
            return made

        def mapped(path: str) -> str:
            if is_sent_code(path):
                return path
            to = aliases().map(path)
            return (_local_path(to) or to) if self.relative_files else to

        try:
            aliases()
        except CoverageException as error:
            raise PathsUnusable(f"[paths]: {error}") from error
        return functools.cache(mapped)


def _local_path(path: str) -> str | None:
    """The relative path, in this directory, of a file from another checkout or machine, or None.

    It is the longest end of `path` that names a file here and contains a directory, as coverage.py
    requires. A file that exists at `path` with other contents is another file.
    """
    from coverage.files import isabs_anywhere, source_exists

    if not isabs_anywhere(path):
        return None
    parts = [part for part in re.split(r"[/\\]", path) if part]
    for at in range(len(parts) - 1):
        here = os.path.join(*parts[at:])
        if source_exists(here) and not _differ(path, here):
            return here
    return None


def _differ(path: str, here: str) -> bool:
    """Whether both files exist and differ."""
    try:
        return Path(path).read_bytes() != Path(here).read_bytes()
    except OSError:
        return False


def _absolute(path: str | Path) -> Path:
    return Path(os.path.abspath(path))
