"""The files of the sources of a place that is viewed, executed or not."""

from __future__ import annotations

from pathlib import Path

from covsup.datafile.database.read_result import files_in
from covsup.hints import TYPE_CHECKING
from covsup.supervisor.combining.session_sources import files_of_sources
from covsup.supervisor.messages import print_message
from covsup.views.model.ended_sessions import data_file_with

if TYPE_CHECKING:
    from covsup.supervisor.settings.combine_settings import CombineSettings
    from covsup.views.model.view import View


def unexecuted_sources(view: View, settings: CombineSettings) -> dict[str, str]:
    """The files of the measured sources, executed or not, each with the plugin of coverage.py that
    reports it, or "".
    """
    if not view.place.is_dir():
        # The combination has added them. The settings in a data file may be another user's: no
        # plugin that they name is loaded.
        session = view.result.sessions.get(view.place.name)
        path = data_file_with(session) if session is not None else view.place
        return {} if path is None else files_in(path)
    found: dict[str, str] = {}
    for session in view.result.sessions.values():
        existing = session._replace(
            source_dirs=tuple(each for each in session.source_dirs if Path(each).exists())
        )
        files, problems = files_of_sources(
            existing, view.result.modules, namespace_packages=settings.namespace_packages
        )
        found |= files
        for problem in problems:
            print_message(problem)
    return found
