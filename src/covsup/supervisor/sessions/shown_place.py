"""What the supervisor knows of a place that a page shows, and a view does not."""

from __future__ import annotations

import tempfile
from pathlib import Path

from covsup.hints import TYPE_CHECKING, NamedTuple
from covsup.supervisor.combining.coverage_reports import REPORTS, write_report
from covsup.supervisor.combining.data_file_writer import DataFileWriter
from covsup.supervisor.combining.input_reader import InputReader
from covsup.supervisor.sessions.unexecuted_sources import unexecuted_sources
from covsup.supervisor.sessions.view_places import place_to_view
from covsup.supervisor.sessions.waiting_sessions import warn_if_session_is_gone
from covsup.supervisor.settings.combine_settings import CombineSettings
from covsup.supervisor.settings.coverage_settings import config_file_argument
from covsup.supervisor.tree.process_rows import process_rows
from covsup.views.model.open_view import open_view
from covsup.views.sources.source_library import SourceLibrary
from covsup.views.web.data.page_data import PageData

if TYPE_CHECKING:
    from collections.abc import Mapping

    from covsup.datafile.fold.result import Result
    from covsup.views.model.view import View


class OpenedPage(NamedTuple):
    """The data of a page, which the caller closes."""

    data: PageData
    source_library: SourceLibrary
    place: ShownPlace


def open_page(word: str | None, rcfile: str | None, data_file: str | None) -> OpenedPage:
    """The data of the place that a command line names, read once. Raises CovsupError."""
    warn_if_session_is_gone()
    settings = CombineSettings.of_command(rcfile, data_file)
    config_file = config_file_argument(rcfile)
    place = ShownPlace(settings, config_file)
    library = SourceLibrary(config_file)
    try:
        view = open_view(place_to_view(word, settings.data_file))
        data = PageData(view, library, list_processes=process_rows, unexecuted=place.unexecuted)
        data.refresh()
    except BaseException:
        library.close()
        raise
    return OpenedPage(data, library, place)


class ShownPlace:
    """The files of a place that never ran, and its reports."""

    def __init__(self, combine_settings: CombineSettings, config_file: str | bool) -> None:
        """`config_file` is coverage.py's. Reads nothing."""
        self._config_file = config_file
        self._combine_settings = combine_settings

    def unexecuted(self, view: View) -> Mapping[str, str]:
        """The files that reports list although nothing of them may have run."""
        return unexecuted_sources(view, self._combine_settings)

    def report(self, kind: str, shown: Result | Path) -> bytes:
        """One of coverage.py's reports, by a name of REPORTS: of a result, as of a snapshot by
        `covsup combine --keep`, or of a data file. Any thread may call it. Raises CovsupError.
        """
        with tempfile.TemporaryDirectory(prefix="covsup-", ignore_cleanup_errors=True) as scratch:
            if isinstance(shown, Path):
                data_file = shown
            else:
                data_file = Path(scratch) / "coverage"
                map_path = self._combine_settings.map_path()
                writer = DataFileWriter(self._combine_settings, map_path, InputReader(None))
                writer.write_result(data_file, shown)
            out = Path(scratch) / REPORTS[kind]
            write_report(kind, data_file, out, self._config_file)
            return out.read_bytes()
