"""What coverage.py's settings say about combining: where to, and under which paths."""

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
from covsup.supervisor.settings.run_settings import choose_sessions_directory

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Self

    from covsup.datafile.session.directory import Settings


class PathsUnusable(CovsupError):
    """coverage.py refuses [paths] of its settings."""


class CombineSettings(NamedTuple):
    """What coverage.py's settings say about combining."""

    data_file: Path
    paths: Mapping[str, Sequence[str]] = MappingProxyType({})
    relative_files: bool = False
    namespace_packages: bool = False
    disable_warnings: frozenset[str] = frozenset()

    @classmethod
    def of_session(cls, settings: Settings) -> Self:
        """Those that held where a session was opened. Raises UsageError."""
        return cls.read(config_file_of_session(settings.rcfile), Path(settings.data_file))

    @classmethod
    def of_command(cls, rcfile: str | None, data_file: str | None) -> Self:
        """Those that hold here, for a command with --rcfile and --data-file. Raises UsageError."""
        choose_sessions_directory(rcfile)
        path = None if data_file is None else Path(data_file)
        return cls.read(config_file_argument(rcfile), path)

    @classmethod
    def read(cls, rcfile: str | bool = True, data_file: Path | None = None) -> Self:
        """Take them from coverage.py's settings file: `rcfile`, its own search (True), or none
        at all (False). `data_file` wins over what it says. Raises UsageError."""
        if data_file is not None and not has_settings_file(rcfile):
            return cls(data_file=_absolute(data_file))

        from coverage import Coverage  # noqa: PLC0415 - the slowest import of all
        from coverage.exceptions import CoverageException  # noqa: PLC0415

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
        """The function that gives the path under which a file is reported. Raises PathsUnusable.

        What it gives depends on the path alone. coverage.py's `PathAliases` with relative files makes
        a pattern of each directory that it meets, so that tests/util.py, if it comes first, takes
        pkg/tests/util.py in.
        """
        if not self.paths and not self.relative_files:
            return str

        from coverage.exceptions import CoverageException  # noqa: PLC0415
        from coverage.files import PathAliases  # noqa: PLC0415

        def aliases() -> PathAliases:
            """Those of the settings, and none that were made on the way."""
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
    """Where a file of another checkout or machine is below this directory, if it is there.

    The longest end of its path that names a file here and has a directory in it, as coverage.py
    asks for. A file that is here is none of another place, and has a relative path.
    """
    from coverage.files import isabs_anywhere, source_exists  # noqa: PLC0415

    if not isabs_anywhere(path):
        return None
    parts = [part for part in re.split(r"[/\\]", path) if part]
    for at in range(len(parts) - 1):
        here = os.path.join(*parts[at:])  # noqa: PTH118 - text
        if source_exists(here) and not _differ(path, here):
            return here
    return None


def _differ(path: str, here: str) -> bool:
    """Whether both files are there, and differ."""
    try:
        return Path(path).read_bytes() != Path(here).read_bytes()
    except OSError:
        return False


def _absolute(path: str | Path) -> Path:
    return Path(os.path.abspath(path))  # noqa: PTH100 - links stay
