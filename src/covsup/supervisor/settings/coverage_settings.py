"""coverage.py's settings, and which of them have no effect under covsup.

coverage.py reads its own files. It is imported only if there is a file that it would read. `remarks`
warn about what it would ignore without a message, and about what covsup does not need or support.

Must never know: covsup's command line.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from covsup.hints import TYPE_CHECKING, NamedTuple
from covsup.supervisor.errors import UsageError
from covsup.supervisor.messages import did_you_mean, did_you_mean_or_all
from covsup.supervisor.settings.compatibility import (
    SETTINGS,
    UNNEEDED_SETTINGS,
    VARIABLES,
    WARNINGS,
    Support,
)
from covsup.supervisor.settings.covsup_settings import CONCURRENCY, split_lists
from covsup.supervisor.settings.files import (
    COVERAGE_FILES,
    SHARED_FILES,
    coverage_prefix,
    coverage_sections,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from typing import Final

    from coverage import Coverage

    from covsup.supervisor.settings.files import Section

_NO_FILE: Final = "false"
"""In a session's settings: coverage.py reads no settings file (`--rcfile=`)."""

_VARIABLES: Final = ("COVERAGE_RCFILE", "COVERAGE_FORCE_CONFIG")
_UNKNOWN_CONCURRENCY: Final = "Unknown concurrency choices: "
_INVALID_VALUE: Final = re.compile(r"Couldn't read config file (?P<file>.+?): .*: (?P<value>.+)")


class CoverageSettings(NamedTuple):
    """The settings in coverage.py's files and variables."""

    branch: bool = False
    command_line: str = ""
    concurrency: tuple[str, ...] = ()
    context: str = ""
    dynamic_context: tuple[str, ...] = ()
    cover_pylib: bool = False
    data_file: str = ".coverage"
    disable_warnings: tuple[str, ...] = ()
    include: tuple[str, ...] = ()
    omit: tuple[str, ...] = ()
    source: tuple[str, ...] = ()
    source_dirs: tuple[str, ...] = ()
    source_pkgs: tuple[str, ...] = ()
    plugins: tuple[str, ...] = ()
    plugin_config: str = ""
    plugin_path: tuple[str, ...] = ()
    plugin_contexts: bool = False
    remarks: tuple[str, ...] = ()  # about what has no effect, a sentence each


def config_file_argument(rcfile: str | None) -> str | bool:
    """coverage.py's `config_file` for a --rcfile: a path, True to search, False for none."""
    return True if rcfile is None else rcfile or False


def rcfile_to_store(rcfile: str | None) -> str:
    """A --rcfile as a session's settings store it."""
    if rcfile is None:
        return ""
    return os.path.abspath(rcfile) if rcfile else _NO_FILE


def config_file_of_session(stored: str) -> str | bool:
    """coverage.py's `config_file` for the `rcfile` of a session's settings."""
    return {"": True, _NO_FILE: False}.get(stored, stored)


def read_coverage_settings(
    rcfile: str | None, words: Sequence[str] | None = None
) -> CoverageSettings:
    """The settings that coverage.py finds in its files and variables. Raises UsageError.

    Only for a target (`words`) are its plugins loaded, which may change settings, and remarks made.
    """
    data_file = os.environ.get("COVERAGE_FILE") or ".coverage"
    if not has_settings_file(config_file_argument(rcfile)):
        remarks = () if words is None else tuple(_variable_remarks(()))
        return CoverageSettings(data_file=data_file, remarks=remarks)
    config = _configuration(rcfile)

    from covsup.supervisor.settings.plugins import (
        PluginSettings,
        configure,
        plugin_directories,
    )

    def listed_in(option: str) -> tuple[str, ...]:
        value = config.get_option(option)
        return tuple(map(str, value)) if isinstance(value, list | tuple) else ()

    plugins = PluginSettings()
    remarks = ()
    if words is not None:
        # Remarks are about the files, before a plugin changes settings.
        remarks = tuple(_remarks(config, listed_in("run:disable_warnings")))
        plugins = configure(config, plugin_directories(words))
    return CoverageSettings(
        branch=bool(config.get_option("run:branch")),
        command_line=str(config.get_option("run:command_line") or ""),
        concurrency=listed_in("run:concurrency"),
        context=str(config.get_option("run:context") or ""),
        dynamic_context=tuple(
            name
            for name in split_lists([str(config.get_option("run:dynamic_context") or "")])
            if name != "none"  # what coverage.py calls no context
        ),
        cover_pylib=bool(config.get_option("run:cover_pylib")),
        data_file=str(config.get_option("run:data_file") or data_file),
        disable_warnings=listed_in("run:disable_warnings"),
        include=listed_in("run:include"),
        omit=listed_in("run:omit"),
        source=listed_in("run:source"),
        source_dirs=listed_in("run:source_dirs"),
        source_pkgs=listed_in("run:source_pkgs"),
        plugins=plugins.modules,
        plugin_config=plugins.config,
        plugin_path=plugins.path,
        plugin_contexts=plugins.contexts,
        remarks=remarks,
    )


def unknown_settings(
    path: Path, sections: Sequence[Section], plugins: Collection[str]
) -> Iterator[tuple[int, str]]:
    """The keys and sections that coverage.py does not know: the line, and a sentence."""
    for section in sections:
        if section.name in SETTINGS:
            keys = SETTINGS[section.name]
            for entry in section.entries:
                if entry.key not in keys and "*" not in keys:
                    hint = did_you_mean_or_all(entry.key, keys)
                    yield entry.line, f"[{section.written}] has no {entry.key!r}{hint}"
        elif not section.name:
            for entry in section.entries:
                home = next((name for name in SETTINGS if entry.key in SETTINGS[name]), "run")
                below = f"[{coverage_prefix(path)}{home}]"
                yield entry.line, f"{entry.key} is read only in a section such as {below}"
        elif not _belongs_to_another_tool(section.name, plugins):
            known = [*SETTINGS, *plugins]
            near = did_you_mean(section.name, known)
            if near or path.name in COVERAGE_FILES or section.name != section.written:
                hint = near or f"; there are: {', '.join(sorted(known))}"
                yield section.line, f"[{section.written}] is not a section of coverage.py{hint}"


def _belongs_to_another_tool(section: str, plugins: Collection[str]) -> bool:
    """Whether a section is a plugin's, or covsup's, or another tool's in coverage.py's TOML file."""
    return (
        section in {"covsup", "DEFAULT"}
        or section.startswith("tool.")
        or any(section == each or section.startswith(f"{each}.") for each in plugins)
    )


def _configuration(rcfile: str | None) -> Coverage:
    import warnings

    with warnings.catch_warnings():
        # covsup warns about unknown settings itself, with a suggestion.
        warnings.simplefilter("ignore")
        import coverage
        from coverage.exceptions import CoverageException

        try:
            return coverage.Coverage(config_file=config_file_argument(rcfile))
        except CoverageException as error:
            hint = _concurrency_hint(str(error)) or _value_location(str(error))
            raise UsageError(f"{error}{hint}") from error
        except (ValueError, OSError) as error:
            raise UsageError(f"coverage.py's settings cannot be read: {error}") from error


def _concurrency_hint(refusal: str) -> str:
    """What to write instead of a --concurrency that coverage.py does not know."""
    if not refusal.startswith(_UNKNOWN_CONCURRENCY):
        return ""
    name = refusal.removeprefix(_UNKNOWN_CONCURRENCY).partition(",")[0]
    if name in CONCURRENCY:
        return "; covsup has it: write it in [tool.covsup] of pyproject.toml"
    return did_you_mean(name, CONCURRENCY)


def _value_location(refusal: str) -> str:
    """The line and key of a value that coverage.py refuses; it names only the file."""
    found = _INVALID_VALUE.match(refusal)
    if found is None or not Path(found["file"]).is_file():
        return ""
    path = Path(found["file"])
    for section in coverage_sections(path, own=path.name not in SHARED_FILES):
        for entry in section.entries:
            if found["value"] in {entry.value, repr(entry.value)}:
                return f" (line {entry.line}: [{section.written}] {entry.key})"
    return ""


def _remarks(config: Coverage, disabled: Collection[str]) -> Iterator[str]:
    """Warnings about what has no effect."""
    # coverage.py reads a shared file even if it has no section for it.
    for path in map(Path, config.config.config_files_read):
        sections = coverage_sections(path, own=path.name not in SHARED_FILES)
        for line, sentence in unknown_settings(path, sections, config.config.plugins):
            yield f"{display_path(path)}:{line}: {sentence}"
    if config.config.config_file is not None:
        shown = display_path(Path(config.config.config_file))
        without_effect: dict[Support, list[str]] = {}
        for name, meaning in SETTINGS["run"].items():
            value = config.get_option(f"run:{name}")
            if meaning.support is Support.HONOURED or not value or _is_set_by_variable(name):
                continue
            without_effect.setdefault(meaning.support, []).append(name)
        yield from _sentences(f"{shown}: [run] ", without_effect, disabled)
        for slug in disabled:
            if slug not in WARNINGS:
                hint = did_you_mean_or_all(slug, WARNINGS)
                yield f"{shown}: [run] disable_warnings: there is no warning {slug!r}{hint}"
    yield from _variable_remarks(disabled)


def _is_set_by_variable(name: str) -> bool:
    return bool(os.environ.get(f"COVERAGE_{name.upper()}"))


def _variable_remarks(disabled: Collection[str]) -> Iterator[str]:
    """The same for variables, except those that start coverage.py: covsup removes these later."""
    without_effect: dict[Support, list[str]] = {}
    for name, meaning in VARIABLES.items():
        if name.startswith("COVERAGE_PROCESS_") or not os.environ.get(name):
            continue
        if meaning.support is not Support.HONOURED:
            without_effect.setdefault(meaning.support, []).append(name)
    yield from _sentences("", without_effect, disabled)


def _sentences(
    where: str, names: dict[Support, list[str]], disabled: Collection[str]
) -> Iterator[str]:
    if Support.UNNEEDED in names and UNNEEDED_SETTINGS not in disabled:
        are = "is" if len(names[Support.UNNEEDED]) == 1 else "are"
        # A user who relies on it would find only the data of the last run.
        apart = (
            " (--parallel-mode does keep runs apart)"
            if "parallel" in names[Support.UNNEEDED]
            else ""
        )
        yield (
            f"{where}{_joined(names[Support.UNNEEDED])} {are} not needed and change"
            f"{'s' if are == 'is' else ''} nothing{apart}; `covsup debug migrate` says why"
            f" ({UNNEEDED_SETTINGS})"
        )
    for name in names.get(Support.UNSUPPORTED, ()):
        meaning = SETTINGS["run"].get(name) or VARIABLES[name]
        yield f"{where}{name} is not supported and changes nothing: {meaning.note}"


def _joined(names: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def display_path(path: Path) -> str:
    """A path for people: relative, if it is below the working directory."""
    try:
        return str(path.relative_to(Path.cwd()))
    except (ValueError, OSError):  # it is elsewhere, or the working directory was deleted
        return str(path)


def _is_empty(rcfile: str) -> bool:
    """Whether there is nothing to read. It is not read to find out: a pipe can be read only once."""
    try:
        return rcfile == os.devnull or (os.path.isfile(rcfile) and not os.path.getsize(rcfile))
    except OSError:
        return False  # coverage.py reports what is wrong with it


def has_settings_file(rcfile: str | bool) -> bool:
    """Whether coverage.py, with `rcfile` as its config_file, would find any settings.

    It is not imported to find out.

    Raises UsageError for an unreadable file of its own.
    """
    if not rcfile:
        return False
    if isinstance(rcfile, str):
        return not _is_empty(rcfile)
    if any(os.environ.get(name) for name in _VARIABLES):
        return True
    for name in (*COVERAGE_FILES, *SHARED_FILES):
        try:
            with open(name, "rb") as file:
                if name in COVERAGE_FILES or b"coverage" in file.read():
                    return True
        except FileNotFoundError:
            continue
        except OSError as error:
            raise UsageError(f"cannot read {name}: {error.strerror}") from error
    return False
