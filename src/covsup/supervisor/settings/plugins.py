"""coverage.py's plugins in the supervisor: load them, configure, list the files that they report.

They are imported before anything runs, so that one that cannot be loaded is refused, and so that
plugins that configure can change the settings. Only then is known whether measured processes need
them: they need file tracers and plugins that give dynamic contexts.
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

    from covsup.datafile.session.settings import Settings


class PluginSettings(NamedTuple):
    """What measured processes and the end of the session need to know about plugins."""

    modules: tuple[str, ...] = ()  # to load in measured processes, in coverage.py's order
    config: str = ""  # coverage.py's configuration, serialized as for its subprocesses
    path: tuple[str, ...] = ()  # directories to search before sys.path
    contexts: bool = False  # whether one of them gives dynamic contexts


def configure(coverage: Coverage, path: Sequence[str]) -> PluginSettings:
    """Load the plugins of a configuration and let them change it. Raises UsageError."""
    config = coverage.config
    if not config.plugins:
        return PluginSettings()
    try:
        text = config.serialize()
    except (TypeError, ValueError) as error:
        raise UsageError(f"coverage.py's settings cannot be passed to plugins: {error}") from error
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
    """Where to search for a project's own plugins: beside the script, and here."""
    places = [os.getcwd()]
    if words and os.path.isfile(words[0]):
        places.insert(0, os.path.dirname(os.path.realpath(words[0])))
    return tuple(dict.fromkeys(places))


def packages_to_install(modules: Sequence[str], path: Sequence[str]) -> tuple[str, ...]:
    """The packages of plugins that the target's interpreter must have: those not in `path`."""
    names = dict.fromkeys(module.partition(".")[0] for module in modules)
    return tuple(
        name
        for name in names
        if not any((Path(place) / name).is_dir() or (Path(place) / f"{name}.py").is_file()
                   for place in path)
    )  # fmt: skip


class FileFinders:
    """The file tracers of a session, which know the files that they would report."""

    def __init__(self, settings: Settings) -> None:
        """Load them. `problems` has a sentence for each failure."""
        self.problems: list[str] = []
        self._plugins = Plugins()
        config = CoverageConfig.deserialize(settings.plugin_config)
        with _first_on_sys_path(settings.plugin_path):
            for module in settings.plugins:
                try:
                    self._plugins.load_from_config([module], config)
                except (Exception, SystemExit) as error:  # noqa: BLE001 - a plugin may raise anything
                    self.problems.append(f"plugin {module} cannot be loaded: {in_one_line(error)}")
            for plugin in self._plugins.configurers:
                # The same failure was refused at the start of the session.
                with contextlib.suppress(Exception):
                    plugin.configure(config)

    def find(self, directory: str) -> Iterator[tuple[str, str]]:
        """The path of every file below `directory` that a plugin would report, and the plugin's name."""
        for plugin in self._plugins.file_tracers:
            try:
                for path in plugin.find_executable_files(directory):
                    yield path, _name(plugin)
            except Exception as error:  # noqa: BLE001 - a plugin may raise anything
                self.problems.append(
                    f"plugin {_name(plugin)} failed in find_executable_files: {in_one_line(error)}"
                )


@contextlib.contextmanager
def _first_on_sys_path(path: Sequence[str]) -> Iterator[None]:
    """Search `path` for modules first, as `coverage run` and its reports do."""
    before = sys.path[:]
    sys.path[:0] = [each for each in path if each not in before]
    try:
        yield
    finally:
        sys.path[:] = before


def _name(plugin: CoveragePlugin) -> str:
    return plugin._coverage_plugin_name  # noqa: SLF001 - its name in data files
