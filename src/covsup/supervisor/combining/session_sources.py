"""The files that a session's settings name as sources, executed or not: Python's and plugins'."""

from __future__ import annotations

from covsup.hints import TYPE_CHECKING
from covsup.supervisor.combining.unexecuted import unexecuted_files

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from covsup.datafile.session.settings import Settings
    from covsup.supervisor.combining.unexecuted import FilesOfPlugins


def files_of_sources(
    settings: Settings, modules: Mapping[str, frozenset[str]], *, namespace_packages: bool
) -> tuple[dict[str, str], list[str]]:
    """The files, each with the name of the plugin that reports it or "", and a sentence for each
    plugin that failed.

    `modules` maps each executed file to the names of its modules. It imports the session's plugins:
    only for settings from a session directory, which is this user's or root's.
    """
    find: FilesOfPlugins = _no_files
    problems: list[str] = []
    if settings.plugins:
        from covsup.supervisor.settings.plugins import FileFinders  # it imports coverage.py

        plugins = FileFinders(settings)
        find, problems = plugins.find, plugins.problems
    return unexecuted_files(
        settings, modules, find, namespace_packages=namespace_packages
    ), problems


def _no_files(_: str) -> Iterator[tuple[str, str]]:
    """What plugins report in a directory where there are none."""
    return iter(())
