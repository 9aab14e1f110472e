"""Analyses of source files, made when they are asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from coverage import Coverage
from coverage.exceptions import CoverageException

from covsup.datafile.errors import CovsupError
from covsup.views.sources.analysis import analyse

if TYPE_CHECKING:
    from covsup.views.sources.analysis import SourceAnalysis


class SourceUnavailable(CovsupError):
    """A source file cannot be read or parsed."""


class SourceLibrary:
    """Analyses of source files, by path."""

    def __init__(self, config_file: str | bool = True) -> None:
        """`config_file` is coverage.py's: exclusions and plugins come from there."""
        self._coverage = Coverage(data_file=None, config_file=config_file)
        self._known: dict[str, SourceAnalysis | SourceUnavailable] = {}

    def analysis(self, path: str) -> SourceAnalysis | None:
        """The analysis, if it is ready. If not, it is made in the background."""
        try:
            return self.analysis_now(path)
        except SourceUnavailable:
            return None

    def analysis_now(self, path: str) -> SourceAnalysis:
        """The analysis, made now if need be. Raises SourceUnavailable."""
        if path not in self._known:
            try:
                reporter = self._coverage._get_file_reporter(path)  # noqa: SLF001 - its reports do so
                self._known[path] = analyse(reporter)
            except CoverageException as error:
                self._known[path] = SourceUnavailable(f"{path}: {error}")
        known = self._known[path]
        if isinstance(known, SourceUnavailable):
            raise known
        return known

    def close(self) -> None:
        """End the work in the background."""
