"""coverage.py's plugins in a measured process: which files they claim, which contexts they begin.

Imported only where the settings of the session name plugins, and then before the first file of the
program runs, as `coverage run` does. It is the only module of the measured side that brings
coverage.py along. The C module asks `claim` once per file name; what a plugin says of each frame it
asks the plugin's own FileTracer.
"""

import sys

from coverage.config import CoverageConfig
from coverage.files import abs_file, canonical_filename
from coverage.plugin_support import Plugins

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import FrameType

    from coverage.plugin import FileTracer


class LoadedPlugins:
    """The plugins of a process, asked; one that raises is asked no more."""

    def __init__(self, plugins: Plugins, say: "Callable[[str], None]") -> None:
        """`say` is told of every failure, once."""
        self._plugins = plugins
        self._say = say
        self._reported: set[str] = set()

    def claim(self, filename: str) -> "tuple[FileTracer, str, str | None] | None":
        """Whose a file is: the tracer, the plugin's name and the source, None if that varies.

        The first plugin that wants it has it. One that raises is asked no more.
        """
        for plugin in self._plugins.file_tracers:
            if not plugin._coverage_enabled:  # noqa: SLF001 - where coverage.py keeps it, too
                continue
            try:
                tracer = plugin.file_tracer(filename)
                if tracer is None:
                    continue
                tracer._coverage_plugin = plugin  # noqa: SLF001
                source = None
                if not tracer.has_dynamic_source_filename():
                    source = canonical_filename(tracer.source_filename())
            except Exception as error:  # noqa: BLE001 - the program must live
                plugin._coverage_enabled = False  # noqa: SLF001
                self._report(plugin._coverage_plugin_name, "file_tracer", error)  # noqa: SLF001
                continue
            return tracer, plugin._coverage_plugin_name, source  # noqa: SLF001
        return None

    def failed(self, tracer: "FileTracer", what: str, error: Exception) -> None:
        """A plugin's tracer raised in the method `what`; what it claimed there is measured no more."""
        plugin = tracer._coverage_plugin  # noqa: SLF001
        plugin._coverage_enabled = False  # noqa: SLF001
        self._report(plugin._coverage_plugin_name, what, error)  # noqa: SLF001

    def context(self, frame: "FrameType") -> str | None:
        """The label of the context that begins with a frame; None where none does."""
        for plugin in self._plugins.context_switchers:
            if not plugin._coverage_enabled:  # noqa: SLF001
                continue
            try:
                label = plugin.dynamic_context(frame)
                if label is not None:
                    return self._checked(label)
            except RecursionError:
                continue  # the program is at its limits, which says nothing about the plugin
            except Exception as error:  # noqa: BLE001 - the program must live
                plugin._coverage_enabled = False  # noqa: SLF001
                self._report(plugin._coverage_plugin_name, "dynamic_context", error)  # noqa: SLF001
        return None

    @staticmethod
    def _checked(label: object) -> str:
        if not isinstance(label, str):
            raise TypeError(f"a context's label is a str, not {type(label).__name__}")
        return label

    def _report(self, name: str, what: str, error: Exception) -> None:
        why = f"plugin {name} failed in {what} and was switched off: {first_line_of(error)}"
        if why not in self._reported:
            self._reported.add(why)
            self._say(why)


def load(
    modules: "Sequence[str]", config: str, path: "Sequence[str]", say: "Callable[[str], None]"
) -> "tuple[Callable[..., object] | None, ...] | None":
    """Import and initialise plugins; what `_tracer.set_plugin_loader` wants of it.

    `config` is coverage.py's configuration in its own spelling, `path` says where the supervisor
    found plugins that may not be on this process's path. A plugin that fails is left out, and said.
    """
    plugins = Plugins()
    configuration = CoverageConfig.deserialize(config)
    added = [each for each in path if each not in sys.path]
    sys.path.extend(added)
    try:
        for module in modules:
            try:
                plugins.load_from_config([module], configuration)
            except (Exception, SystemExit) as error:  # noqa: BLE001 - the program must live
                say(f"plugin {module} cannot be loaded: {first_line_of(error)}")
        for plugin in plugins.configurers:
            try:
                plugin.configure(configuration)
            except Exception as error:  # noqa: BLE001
                name = plugin._coverage_plugin_name  # noqa: SLF001
                say(f"plugin {name} failed in configure: {first_line_of(error)}")
    finally:
        for each in added:
            if each in sys.path:
                sys.path.remove(each)
    asked = LoadedPlugins(plugins, say)
    return (
        asked.claim if plugins.file_tracers else None,
        abs_file,
        asked.failed,
        asked.context if plugins.context_switchers else None,
    )


def first_line_of(error: BaseException) -> str:
    """An exception's type and the first line of what it says."""
    first, _, _ = str(error).partition("\n")
    return f"{type(error).__name__}: {first}" if first else type(error).__name__
