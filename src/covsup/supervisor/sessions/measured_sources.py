"""What a command line asks about: a session or a data file, and its sources."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path

from covsup.datafile.database.read_result import files_in
from covsup.hints import TYPE_CHECKING
from covsup.supervisor.combining.unexecuted import unexecuted_files
from covsup.supervisor.messages import print_message
from covsup.supervisor.sessions.view_places import place_to_view
from covsup.supervisor.settings.combine_settings import CombineSettings
from covsup.supervisor.settings.coverage_settings import config_file_argument
from covsup.views.answers.measured import Measured
from covsup.views.model.open_view import open_view
from covsup.views.sources.library import SourceLibrary

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from covsup.datafile.session.settings import Settings
    from covsup.supervisor.combining.unexecuted import FilesOfPlugins
    from covsup.views.model.view import View


@contextmanager
def measured_sources(options: argparse.Namespace) -> Iterator[Measured]:
    """What --data, --data-file and --rcfile mean. Raises CovsupError."""
    settings = CombineSettings.of_command(options.rcfile, options.data_file)
    view = open_view(place_to_view(options.data, settings.data_file))
    view.refresh()
    with SourceLibrary(config_file_argument(options.rcfile)) as library:
        yield Measured(
            view,
            library,
            map_path=settings.map_path(),
            unexecuted=_unexecuted(view, settings),
        )


def _unexecuted(view: View, settings: CombineSettings) -> dict[str, str]:
    """The files of the measured sources, executed or not."""
    if not view.place.is_dir():
        return files_in(view.place)  # the combination has added them
    found: dict[str, str] = {}
    for session in view.result.sessions.values():
        existing = session._replace(
            source_dirs=tuple(each for each in session.source_dirs if Path(each).exists())
        )
        found |= unexecuted_files(
            existing,
            view.result.modules,
            _files_of_plugins(existing),
            namespace_packages=settings.namespace_packages,
        )
    return found


def _files_of_plugins(session: Settings) -> FilesOfPlugins:
    if not session.plugins:
        return lambda _: ()

    from covsup.supervisor.settings.plugins import FileFinders

    plugins = FileFinders(session)
    for problem in plugins.problems:
        print_message(problem)
    return plugins.find
