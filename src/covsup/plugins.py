"""coverage.py's plugins in a measured process: the files they claim and the contexts they name.

Loaded only if the settings of the session name plugins, and then before the first file of the
program runs, as `coverage run` does. It is the only module that imports coverage.py in a measured
process. The C module calls claim() once per file name; for each frame it calls the plugin's
FileTracer itself.
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
    """The plugins of a process. A plugin that raises an exception is disabled."""

    def __init__(self, plugins: Plugins, report: "Callable[[str], None]") -> None:
        """`report` is called with each failure, once."""
        self._plugins = plugins
        self._on_failure = report
        self._reported: set[str] = set()

    def claim(self, filename: str) -> "tuple[FileTracer, str, str | None] | None":
        """The first plugin that wants to trace a file; None if there is none.

        Returns its tracer, its name and the source file, which is None if it varies by frame.
        """
        for plugin in self._plugins.file_tracers:
            if not plugin._coverage_enabled:  # coverage.py's own mark
                continue
            try:
                tracer = plugin.file_tracer(filename)
                if tracer is None:
                    continue
                tracer._coverage_plugin = plugin
                source = None
                if not tracer.has_dynamic_source_filename():
                    source = canonical_filename(tracer.source_filename())
            except Exception as error:  # noqa: BLE001 - the program must run on
                plugin._coverage_enabled = False
                self._report_failure(plugin._coverage_plugin_name, "file_tracer", error)
                continue
            return tracer, plugin._coverage_plugin_name, source
        return None

    def failed(self, tracer: "FileTracer", what: str, error: Exception) -> None:
        """Disable the plugin of a tracer whose method `what` has raised. Its files are lost."""
        plugin = tracer._coverage_plugin
        plugin._coverage_enabled = False
        self._report_failure(plugin._coverage_plugin_name, what, error)

    def context(self, frame: "FrameType") -> str | None:
        """The label of the context that begins with a frame; None if none does."""
        for plugin in self._plugins.context_switchers:
            if not plugin._coverage_enabled:
                continue
            try:
                label = plugin.dynamic_context(frame)
                if label is not None:
                    return self._checked(label)
            except RecursionError:
                continue  # the program's fault, not the plugin's
            except Exception as error:  # noqa: BLE001 - the program must run on
                plugin._coverage_enabled = False
                self._report_failure(plugin._coverage_plugin_name, "dynamic_context", error)
        return None

    @staticmethod
    def _checked(label: object) -> str:
        if not isinstance(label, str):
            raise TypeError(f"a context's label is a str, not {type(label).__name__}")
        return label

    def _report_failure(self, name: str, what: str, error: Exception) -> None:
        why = f"plugin {name} failed in {what} and was switched off: {first_line_of(error)}"
        if why not in self._reported:
            self._reported.add(why)
            self._on_failure(why)


def load(
    modules: "Sequence[str]", config: str, path: "Sequence[str]", report: "Callable[[str], None]"
) -> "tuple[Callable[..., object] | None, ...] | None":
    """Import and initialise plugins. Returns the functions that `_tracer.set_plugin_loader` needs.

    `config` is coverage.py's configuration as coverage.py serializes it. `path` has the directories
    where the supervisor found plugins, which may not be on this process's path. A plugin that fails
    is reported and left out.
    """
    plugins = Plugins()
    configuration = CoverageConfig.deserialize(config)
    added = [each for each in path if each not in sys.path]
    sys.path.extend(added)
    try:
        for module in modules:
            try:
                plugins.load_from_config([module], configuration)
            except (Exception, SystemExit) as error:  # noqa: BLE001 - the program must run on
                report(f"plugin {module} cannot be loaded: {first_line_of(error)}")
        for plugin in plugins.configurers:
            try:
                plugin.configure(configuration)
            except Exception as error:  # noqa: BLE001 - as above
                name = plugin._coverage_plugin_name
                report(f"plugin {name} failed in configure: {first_line_of(error)}")
    finally:
        for each in added:
            if each in sys.path:
                sys.path.remove(each)
    asked = LoadedPlugins(plugins, report)
    return (
        asked.claim if plugins.file_tracers else None,
        abs_file,
        asked.failed,
        asked.context if plugins.context_switchers else None,
    )


def first_line_of(error: BaseException) -> str:
    """An exception's type and the first line of its message."""
    first, _, _ = str(error).partition("\n")
    return f"{type(error).__name__}: {first}" if first else type(error).__name__
