"""What a command line asks about: a session or a data file, and its sources."""

from __future__ import annotations

from contextlib import contextmanager

from covsup.hints import TYPE_CHECKING
from covsup.supervisor.sessions.unexecuted_sources import unexecuted_sources
from covsup.supervisor.sessions.view_places import place_to_view
from covsup.supervisor.settings.combine_settings import CombineSettings
from covsup.supervisor.settings.coverage_settings import config_file_argument
from covsup.views.answers.measured import Measured
from covsup.views.model.open_view import open_view
from covsup.views.sources.source_library import SourceLibrary

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator


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
            unexecuted=unexecuted_sources(view, settings),
        )
