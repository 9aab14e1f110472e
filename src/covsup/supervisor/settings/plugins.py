"""coverage.py's plugins on the supervisor's side: found, configured, asked for what they report.

They are imported here before anything runs, so that one which cannot be is refused, and so that
configurers have their say in the settings. Whether a measured process needs them is known then:
it does only for file tracers and dynamic contexts.
"""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

from coverage.config import CoverageConfig
from coverage.plugin_support import Plugins

from covsup.hints import TYPE_CHECKING, NamedTuple
from covsup.supervisor.errors import UsageError
from covsup.supervisor.messages import in_one_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from coverage import Coverage
    from coverage.plugin import CoveragePlugin

    from covsup.datafile.session.directory import Settings


class PluginSettings(NamedTuple):
    """What measured processes and the end of the session need to know of plugins."""

    modules: tuple[str, ...] = ()  # that measured processes load; in coverage.py's order
    config: str = ""  # as coverage.py hands its configuration to a subprocess
    path: tuple[str, ...] = ()  # where to look for them besides sys.path
    contexts: bool = False  # one of them gives dynamic contexts


def configure(coverage: Coverage, path: Sequence[str]) -> PluginSettings:
    """Load the plugins of a configuration and let the configurers change it. Raises UsageError."""
    config = coverage.config
    if not config.plugins:
        return PluginSettings()
    try:
        text = config.serialize()
    except (TypeError, ValueError) as error:
        raise UsageError(f"coverage.py's settings cannot be handed to plugins: {error}") from error
    plugins, needed = Plugins(), []
    with _first_on_sys_path(path):
        for module in config.plugins:
            tracers, switchers = len(plugins.file_tracers), len(plugins.context_switchers)
            try:
                plugins.load_from_config([module], config)
            except (Exception, SystemExit) as error:
                raise UsageError(
                    f"the plugin {module} cannot be loaded: {in_one_line(error)}"
                ) from error
            if (len(plugins.file_tracers), len(plugins.context_switchers)) != (tracers, switchers):
                needed.append(module)
        for plugin in plugins.configurers:
            try:
                plugin.configure(coverage)
            except Exception as error:
                raise UsageError(
                    f"the plugin {_name(plugin)} failed in configure: {in_one_line(error)}"
                ) from error
    if not needed:
        return PluginSettings()
    return PluginSettings(
        modules=tuple(needed),
        config=text,
        path=tuple(path),
        contexts=bool(plugins.context_switchers),
    )


def plugin_directories(words: Sequence[str]) -> tuple[str, ...]:
    """Where a project's own plugins are looked for: beside the script, and here."""
    places = [os.getcwd()]  # noqa: PTH109 - a plain string
    if words and os.path.isfile(words[0]):  # noqa: PTH113
        places.insert(0, os.path.dirname(os.path.realpath(words[0])))  # noqa: PTH120
    return tuple(dict.fromkeys(places))


def installed(modules: Sequence[str], path: Sequence[str]) -> tuple[str, ...]:
    """The packages which another interpreter must have, too: those not found in `path`."""
    names = dict.fromkeys(module.partition(".")[0] for module in modules)
    return tuple(
        name
        for name in names
        if not any((Path(place) / name).is_dir() or (Path(place) / f"{name}.py").is_file()
                   for place in path)
    )  # fmt: skip


class FileFinders:
    """The file tracers of a session, asked which files of theirs there are."""

    def __init__(self, settings: Settings) -> None:
        """Load them; `problems` says which of them could not be."""
        self.problems: list[str] = []
        self._plugins = Plugins()
        config = CoverageConfig.deserialize(settings.plugin_config)
        with _first_on_sys_path(settings.plugin_path):
            for module in settings.plugins:
                try:
                    self._plugins.load_from_config([module], config)
                except (Exception, SystemExit) as error:  # noqa: BLE001 - not ours
                    self.problems.append(f"plugin {module} cannot be loaded: {in_one_line(error)}")
            for plugin in self._plugins.configurers:
                # A failure is one at the start of the session, too, and was refused there.
                with contextlib.suppress(Exception):
                    plugin.configure(config)

    def find(self, directory: str) -> Iterator[tuple[str, str]]:
        """Every file below `directory` that a plugin would report, with that plugin's name."""
        for plugin in self._plugins.file_tracers:
            try:
                for path in plugin.find_executable_files(directory):
                    yield path, _name(plugin)
            except Exception as error:  # noqa: BLE001 - not ours
                self.problems.append(
                    f"plugin {_name(plugin)} failed in find_executable_files: {in_one_line(error)}"
                )


@contextlib.contextmanager
def _first_on_sys_path(path: Sequence[str]) -> Iterator[None]:
    """Look for modules in `path` first, as `coverage run` and its reports do."""
    before = sys.path[:]
    sys.path[:0] = [each for each in path if each not in before]
    try:
        yield
    finally:
        sys.path[:] = before


def _name(plugin: CoveragePlugin) -> str:
    return plugin._coverage_plugin_name  # noqa: SLF001 - its name in data files
