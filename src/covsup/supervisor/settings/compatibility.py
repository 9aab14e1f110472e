"""Which settings, options and variables of coverage.py covsup supports.

Only this file knows: `covsup run` and `covsup env` name those that have no effect, `covsup debug
migrate` prints what to write instead. docs/settings.md has the same lists; a test compares them.

Must never know: where a setting comes from.
"""

from __future__ import annotations

from enum import Enum

from covsup.hints import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Final


class Support(Enum):
    """What covsup does with a word of coverage.py's."""

    HONOURED = "honoured"
    UNNEEDED = "unneeded"  # covsup has this effect without the setting
    UNSUPPORTED = "unsupported"


class Compatibility(NamedTuple):
    """What covsup does with a word of coverage.py's, and why, in a few words."""

    support: Support
    note: str = ""


def _honoured(note: str = "") -> Compatibility:
    return Compatibility(Support.HONOURED, note)


def _unneeded(note: str) -> Compatibility:
    return Compatibility(Support.UNNEEDED, note)


def _unsupported(note: str) -> Compatibility:
    return Compatibility(Support.UNSUPPORTED, note)


_BY_REPORTS: Final = _honoured("by the reports")

SETTINGS: Final[Mapping[str, Mapping[str, Compatibility]]] = {
    "run": {
        "branch": _honoured(),
        "command_line": _honoured("what `covsup run` without a TARGET runs"),
        "concurrency": _honoured("restricts; fork, exec, spawn and exit stay in"),
        "context": _honoured(),
        "core": _unneeded("covsup has cores of its own: --core, [tool.covsup] core"),
        "cover_pylib": _honoured(),
        "data_file": _honoured(),
        "debug": _unsupported("`covsup debug` shows what covsup sees; reports still obey it"),
        "debug_file": _unsupported("see debug"),
        "disable_warnings": _honoured("also: settings-unneeded"),
        "dynamic_context": _honoured("also test, process, thread, greenlet, task, request"),
        "include": _honoured(),
        "omit": _honoured(),
        "parallel": _unneeded(
            "the data of all processes are combined when the run ends (--parallel-mode keeps runs"
            " apart)"
        ),
        "patch": _unneeded("processes that fork, exec, start others or _exit are measured"),
        "plugins": _honoured("with the section of each"),
        "relative_files": _honoured(),
        "sigterm": _unneeded("nothing has to be saved when a signal ends a process"),
        "source": _honoured(),
        "source_dirs": _honoured(),
        "source_pkgs": _honoured(),
        "timid": _unneeded("covsup and the program's own trace functions work together"),
        "_crash": _unsupported("it is for coverage.py's own tests"),
    },
    "paths": {"*": _honoured("when sessions are combined")},
    "report": {
        **dict.fromkeys(
            (
                "contexts", "exclude_also", "exclude_lines", "fail_under", "format",
                "ignore_errors", "include", "omit", "partial_also", "partial_branches",
                "partial_branches_always", "precision", "show_missing", "skip_covered",
                "skip_empty", "sort",
            ),
            _BY_REPORTS,
        ),
        "include_namespace_packages": _honoured("when sessions are combined"),
    },
    "html": dict.fromkeys(
        ("directory", "extra_css", "show_contexts", "skip_covered", "skip_empty", "title"),
        _BY_REPORTS,
    ),
    "xml": dict.fromkeys(("output", "package_depth"), _BY_REPORTS),
    "json": dict.fromkeys(("output", "pretty_print", "show_contexts"), _BY_REPORTS),
    "lcov": dict.fromkeys(("line_checksums", "output"), _BY_REPORTS),
}  # fmt: skip
"""By section and key, as coverage.py's files have them; "*" is any key."""

VARIABLES: Final[Mapping[str, Compatibility]] = {
    "COVERAGE_FILE": _honoured(),
    "COVERAGE_RCFILE": _honoured(),
    "COVERAGE_FORCE_CONFIG": _honoured(),
    "COVERAGE_PROCESS_START": _unneeded(
        "below `covsup run` every Python is measured; for other programs: `covsup env`"
    ),
    "COVERAGE_PROCESS_CONFIG": _unneeded("below `covsup run` every Python is measured"),
    "COVERAGE_CORE": SETTINGS["run"]["core"],
    "COVERAGE_DEBUG": SETTINGS["run"]["debug"],
    "COVERAGE_DEBUG_FILE": SETTINGS["run"]["debug_file"],
    "COV_CORE_SOURCE": _unneeded("pytest-cov has not used it since its version 7"),
    "COV_CORE_CONFIG": _unneeded("pytest-cov has not used it since its version 7"),
    "COV_CORE_DATAFILE": _unneeded("pytest-cov has not used it since its version 7"),
}

RUN_OPTIONS: Final[Mapping[str, Compatibility]] = {
    "--timid": SETTINGS["run"]["timid"],
    "--parallel-mode": _unneeded("the data of all processes are combined when the run ends"),
    "-p": _unneeded("the data of all processes are combined when the run ends"),
    "--concurrency": _unneeded("every kind of concurrency is measured; here it restricts"),
    "--save-signal": _unsupported("`covsup combine --keep` shows what has run so far, at any time"),
    "--debug": SETTINGS["run"]["debug"],
}
"""Options of `coverage run` that `covsup run` does not just support in the same way."""

WARNINGS: Final[Mapping[str, Compatibility]] = {
    "include-ignored": _honoured(),
    "module-not-imported": _honoured(),
    "module-not-python": _honoured(),
    "no-data-collected": _honoured(),
    "couldnt-parse": _BY_REPORTS,
    "settings-unneeded": _honoured("covsup's own: settings that are not needed"),
    "already-imported": _unneeded("measurement begins before anything is imported"),
    "module-not-measured": _unneeded("measurement begins before anything is imported"),
    "trace-changed": _unneeded("a program's own trace function stops nothing"),
    "dynamic-conflict": _unneeded("contexts nest"),
    "no-ctracer": _unneeded("there is no other tracer"),
    "no-sysmon": _unneeded("sys.monitoring has no limits here"),
    "no-sysmon-context": _unneeded("sys.monitoring has no limits here"),
    "cant-combine": _unsupported("what could not be read is always reported"),
}
"""The warnings that [run] disable_warnings may name."""

UNNEEDED_SETTINGS: Final = "settings-unneeded"
