"""Files of the measured sources that no process executed: reports show them with 0 %.

They are the same files as coverage.py would list. coverage.py asks the imported modules where a
package of `source_pkgs` is. Here that comes from the journals, which record the module of each
file.
"""

from __future__ import annotations

import sys
from importlib.machinery import PathFinder
from itertools import chain
from pathlib import Path

from covsup.datafile.fold.gather import unstorable_message
from covsup.hints import TYPE_CHECKING
from covsup.supervisor.own_interpreter import initial_sys_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from covsup.datafile.session.settings import Settings

    FilesOfPlugins = Callable[[str], Iterable[tuple[str, str]]]


def unexecuted_files(
    settings: Settings,
    modules: Mapping[str, frozenset[str]],
    of_plugins: FilesOfPlugins,
    *,
    namespace_packages: bool,
) -> dict[str, str]:
    """Every importable file below the session's sources, executed or not, without `omit`.

    The result maps each path to the name of the plugin that reports the file, or "". `modules` maps
    each executed file to the names of its modules. `of_plugins` gives the files in a directory that
    plugins report, with the plugin. `namespace_packages` is coverage.py's
    include_namespace_packages.
    """
    if not (settings.source_dirs or settings.source_pkgs):
        return {}

    from coverage.files import (  # the slowest import of all
        GlobMatcher,
        canonical_filename,
        find_python_files,
    )

    omit = GlobMatcher(list(settings.omit), "omit") if settings.omit else None
    found: dict[str, str] = {}
    for place in _places(settings, modules):
        is_directory = Path(place).is_dir()
        files = find_python_files(place, namespace_packages) if is_directory else [place]
        others = of_plugins(place) if is_directory else ()
        for file, plugin in chain(((file, "") for file in files), others):
            canonical = canonical_filename(file)
            if omit is None or not omit.match(canonical):
                found[canonical] = found.get(canonical) or plugin
    return found


def storable(files: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """The files whose names a data file can hold, and a message for each of the others."""
    held: dict[str, str] = {}
    sentences = []
    for path, plugin in files.items():
        try:
            path.encode()
        except UnicodeEncodeError:
            sentences.append(unstorable_message(path))
        else:
            held[path] = plugin
    return held, sentences


def unseen_packages(
    settings: Settings, modules: Mapping[str, frozenset[str]]
) -> Iterator[tuple[str, str]]:
    """Warnings about packages of `source_pkgs` of which nothing was executed, as coverage.py has
    them: the warning's name and its text.
    """
    if not settings.source_pkgs:
        return

    from coverage.files import GlobMatcher, canonical_filename  # likewise

    names = {name for of_file in modules.values() for name in of_file}
    omit = GlobMatcher(list(settings.omit), "omit") if settings.omit else None
    for package in settings.source_pkgs:
        if any(name == package or name.startswith(package + ".") for name in names):
            continue
        origin = _origin(package, settings)
        if origin is not None and not origin.endswith((".py", ".pyc")):
            yield "module-not-python", f"module {package} has no Python source"
            continue
        # No warning where the package is omitted: it may have run. It may be anywhere on sys.path,
        # so two likely paths are tried against `omit`.
        places = [f"/{package.replace('.', '/')}{end}" for end in (".py", "/__init__.py")]
        places += [] if origin is None else [canonical_filename(origin)]
        if omit is None or not any(omit.match(place) for place in places):
            yield "module-not-imported", f"module {package} was never imported"


def _origin(package: str, settings: Settings) -> str | None:
    """Where a module would be loaded from; None = not known without importing its parents."""
    if package in sys.builtin_module_names:
        return "built-in"
    script = Path(settings.cwd, settings.command[0]).parent if settings.command else settings.cwd
    try:
        spec = PathFinder.find_spec(package, [str(script), settings.cwd, *initial_sys_path()])
    except (ImportError, ValueError):
        return None
    return None if spec is None else spec.origin


def _places(settings: Settings, modules: Mapping[str, frozenset[str]]) -> Iterator[str]:
    yield from settings.source_dirs
    for package in settings.source_pkgs:
        yield from {
            place
            for path, names in modules.items()
            for name in names
            if (place := _place_of(package, name, Path(path))) is not None
        }


def _place_of(package: str, name: str, path: Path) -> str | None:
    """Where `package` is, derived from the path of its module `name`; None where that fails."""
    if name == package:
        return str(path.parent if path.name == "__init__.py" else path)
    if not name.startswith(package + "."):
        return None
    # An empty __init__.py executes no line, so its package is derived from a submodule.
    depth = name.count(".") - package.count(".")
    top = path.parent if path.name == "__init__.py" else path
    for _ in range(depth):
        top = top.parent
    return str(top) if (top / "__init__.py").is_file() else None
