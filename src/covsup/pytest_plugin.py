"""covsup's plugin for pytest: the options `--covsup`, and `--cov` without pytest-cov.

Usually the startup file has already restarted pytest under `covsup run` (pytest_start.py), so
everything is measured from its first line, and xdist's workers are measured like all children. If
it has not, because there is no startup file or it did not find the option, this plugin restarts
pytest. In a process that is not pytest's own (`pytest.main()`, a debugger), measurement begins at
once, and the report lists the modules that had been imported before.

Lines are in the journals as soon as they ran, so nothing has to be stopped or collected for the
report: another process, which imports what reporting needs, reads the journals of this one.

Without an option of covsup's, this is the only module of the plugin that is loaded.
"""

import argparse
import os
import sys
from pathlib import Path

import pytest

from covsup import embed
from covsup.pytest_start import RESTARTED, run_options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from types import ModuleType
    from typing import Any

FILE_REPORTS = ("annotate", "html", "xml", "json", "markdown", "markdown-append", "lcov")
TERM_REPORTS = ("term", "term-missing")
UNMEASURED_MARKERS = ("no_covsup", "no_cover")
"""The markers and the fixtures that exclude a test from the measurement."""

INFORMATION_OPTIONS = ("help", "version", "markers")
"""With one of these, pytest runs no tests. As pytest names their values."""

_PAUSED = "COVSUP_PAUSED"

_DISABLED_BY = pytest.StashKey[str]()

_covsup_modules: "dict[str, ModuleType]" = {}
"""covsup's modules in this process. pytester removes modules from sys.modules, but the process
stays measured, so begin() puts these back."""


def _report_type(word: str) -> "tuple[str, str | None]":
    kind, colon, modifier = word.partition(":")
    if kind not in ("", *TERM_REPORTS, *FILE_REPORTS):
        known = ", ".join((*TERM_REPORTS, *FILE_REPORTS))
        raise argparse.ArgumentTypeError(f"invalid choice: {word!r} (choose from {known})")
    if colon and kind in TERM_REPORTS and modifier != "skip-covered":
        raise argparse.ArgumentTypeError(f"{word!r}: {kind} takes only :skip-covered")
    if kind.startswith("markdown") and not modifier:
        modifier = "coverage.md"
    return kind, modifier or None


def _minimum(text: str) -> float:
    try:
        minimum = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None
    if minimum > 100:
        raise argparse.ArgumentTypeError(f"{text} is above 100, which no total can reach")
    return minimum


class _StoreReport(argparse.Action):
    def __call__(  # type: ignore[explicit-override]
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: "Any",
        option_string: str | None = None,  # noqa: ARG002 - argparse's signature
    ) -> None:
        kind, modifier = values
        reports: dict[str, str | None] = dict(getattr(namespace, self.dest) or {})
        reports[kind] = modifier
        if "markdown" in reports and reports["markdown"] == reports.get("markdown-append"):
            parser.error("markdown and markdown-append cannot go to the same file: name another")
        setattr(namespace, self.dest, reports)


def _add_family(parser: pytest.Parser, word: str) -> None:
    """Add the options `--WORD`, `--WORD-branch` and so on; all share their destinations."""
    group = parser.getgroup("covsup", "coverage of every process below pytest (covsup)")
    add = group.addoption
    add(f"--{word}", action="append", default=[], metavar="SOURCE", nargs="?", const=True,
        dest="covsup_source",
        help="measure, and only this directory or package (may be repeated); alone or empty: all")  # fmt: skip
    add(f"--{word}-reset", action="store_const", const=[], dest="covsup_source",
        help=f"forget every --{word} before this one")  # fmt: skip
    add(f"--{word}-report", action=_StoreReport, default={}, metavar="TYPE", type=_report_type,
        dest="covsup_report",
        help="report to make (may be repeated): term, term-missing (either with :skip-covered), "
        "annotate, html, xml, json, lcov, markdown, markdown-append (each with :DEST); "
        "empty: none. Default: term")  # fmt: skip
    add(f"--{word}-config", metavar="PATH", default=None, dest="covsup_config",
        help="coverage.py's settings file. Default: its own search")  # fmt: skip
    add(f"--{word}-fail-under", metavar="MIN", type=_minimum, dest="covsup_fail_under",
        help="fail if the total is below MIN percent")  # fmt: skip
    add(f"--{word}-append", action="store_true", default=False, dest="covsup_append",
        help="add to the data file; do not replace it")  # fmt: skip
    add(f"--{word}-branch", action="store_true", default=None, dest="covsup_branch",
        help="measure branches as well as lines")  # fmt: skip
    add(f"--{word}-precision", type=int, default=None, dest="covsup_precision",
        help="digits after the decimal point in reports")  # fmt: skip
    add(f"--{word}-context", metavar="CONTEXT", choices=["test"], dest="covsup_context",
        help='record which test ran what: "test"')  # fmt: skip
    add(f"--no-{word}-on-fail", action="store_true", default=False, dest="covsup_not_on_fail",
        help="make no report if a test failed")  # fmt: skip
    add(f"--no-{word}", action="store_true", default=False, dest="covsup_off",
        help="measure nothing, and make no report")  # fmt: skip


def _has_pytest_cov(manager: pytest.PytestPluginManager) -> bool:
    from importlib.util import find_spec  # pytest has imported it

    return not manager.is_blocked("pytest_cov") and find_spec("pytest_cov") is not None


class _PytestCovFixtures:
    """The fixture of pytest-cov, where that is not installed."""

    @pytest.fixture
    def cov(self) -> None:
        """None, as where pytest-cov is inactive: no Coverage object is in the process."""


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    """Add covsup's options, and pytest-cov's if that is not installed."""
    _add_family(parser, "covsup")
    if not _has_pytest_cov(pluginmanager):
        _add_family(parser, "cov")
        pluginmanager.register(_PytestCovFixtures(), "_covsup_in_place_of_pytest_cov")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_load_initial_conftests(
    early_config: pytest.Config, args: "Sequence[str]"
) -> "Generator[None]":
    """Begin to measure, before output is captured and before any conftest is imported."""
    options = early_config.known_args_namespace
    was_restarted = os.environ.pop(RESTARTED, None) is not None
    if any(getattr(options, name, False) for name in INFORMATION_OPTIONS):
        return (yield)
    early_config.stash[_DISABLED_BY] = disabling_option(args)
    if options.covsup_source and not options.covsup_off:
        begin(early_config, options, was_restarted=was_restarted)
    elif embed.active() and "test" in dynamic_contexts():
        record_tests(early_config)
    return (yield)


def pytest_configure(config: pytest.Config) -> None:
    """Describe the markers."""
    for marker in UNMEASURED_MARKERS:
        config.addinivalue_line("markers", f"{marker}: measure nothing while this test runs")


def pytest_terminal_summary(terminalreporter: "Any") -> None:
    """Warn that an option disables the measurement that a later one asks for."""
    options = terminalreporter.config.option
    switch = terminalreporter.config.stash.get(_DISABLED_BY, "")
    if switch and options.covsup_source and options.covsup_off:
        terminalreporter.write_sep("=", "tests coverage")
        terminalreporter.write(
            f"WARNING: Coverage disabled via {switch} switch!\n", red=True, bold=True
        )


@pytest.fixture
def no_covsup() -> None:
    """Leave what the test executes out of the measurement."""


@pytest.fixture
def no_cover() -> None:
    """Leave what the test executes out of the measurement."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> "Generator[None]":
    """Measure nothing while a test runs that asks for it."""
    names = getattr(item, "fixturenames", ())
    if not any(item.get_closest_marker(name) or name in names for name in UNMEASURED_MARKERS):
        return (yield)
    before = os.environ.get(_PAUSED)
    os.environ[_PAUSED] = "1"  # for the programs that the test starts
    embed.pause()
    try:
        return (yield)
    finally:
        embed.resume()
        if before is None:
            os.environ.pop(_PAUSED, None)
        else:
            os.environ[_PAUSED] = before


def disabling_option(words: "Sequence[str]") -> str:
    """The option that disables what a later one asks for; empty if there is none.

    The words of the settings file's addopts come first, so the user may not know of them.
    """
    switch = ""
    for word in map(str, words):
        if word in {"--no-covsup", "--no-cov"}:
            switch = word
        elif switch and word.startswith("--cov"):
            return switch
    return ""


def begin(config: pytest.Config, options: argparse.Namespace, *, was_restarted: bool) -> None:
    """Restart pytest to be measured, or measure this process from now on if it is not pytest's."""
    messages: list[str] = []
    sys.modules.update(_covsup_modules)
    if embed.active():
        messages = options_too_late(options)
    else:
        if os.name != "posix":
            raise pytest.UsageError(f"--covsup: covsup does not measure on {sys.platform}")
        if owns_the_process(config) and not was_restarted:
            restart(options)
        messages = measure_from_here(options)
    if options.covsup_context == "test" or "test" in dynamic_contexts():
        record_tests(config)
    from covsup.pytest_reports import ReportPlugin  # only if it is needed

    session = os.environ.get("COVSUP_SESSION", "")
    config.pluginmanager.register(ReportPlugin(options, session, messages), "_covsup_reporting")


def record_tests(config: pytest.Config) -> None:
    """Have each test be a context."""
    from covsup.pytest_reports import ContextPlugin  # only if it is needed

    config.pluginmanager.register(ContextPlugin(), "_covsup_contexts")


def session_settings() -> "dict[str, list[str]]":
    """The settings of this process's session; empty if they cannot be read."""
    from covsup import bootstrap  # a measured process has it already

    try:
        return bootstrap.read_settings(os.environ.get("COVSUP_SESSION", ""))
    except (OSError, ValueError):
        return {}


def dynamic_contexts() -> "list[str]":
    """The kinds of contexts that the session's settings name."""
    return session_settings().get("dynamic_context", [""])[-1].split(",")


def options_too_late(options: argparse.Namespace) -> "list[str]":
    """A message that names the options which differ from the session that is running already."""
    settings = session_settings()
    known = {*settings.get("source_dir", []), *settings.get("source_pkg", [])}
    sources = [] if True in options.covsup_source or "" in options.covsup_source else [
        source.strip() for word in options.covsup_source for source in word.split(",")
    ]  # fmt: skip
    words = [
        f"source {source}"
        for source in sources
        if source and not known & {source, os.path.realpath(source)}
    ]
    if options.covsup_branch and settings.get("branch", ["0"])[-1] != "1":
        words.append("branch")
    if not words:
        return []
    data_file = settings.get("data_file", ["?"])[-1]
    late = ", ".join(words)
    return [f"{late}: asked for too late, this process is measured already (into {data_file})"]


def owns_the_process(config: pytest.Config) -> bool:
    """Whether this process runs nothing but pytest, so that a restart changes nothing."""
    main = sys.modules.get("__main__")
    spec = getattr(main, "__spec__", None)
    name = spec.name if spec is not None else Path(sys.argv[0]).name
    return (
        name in {"pytest.__main__", "pytest", "py.test"}
        and list(map(str, config.invocation_params.args)) == sys.argv[1:]
        and sys.gettrace() is None
        and not {"pydevd", "debugpy"} & sys.modules.keys()
        and len(sys._current_frames()) == 1  # noqa: SLF001 - the threads of Python
        and len(sys.orig_argv) > 1
    )


def session_options(options: argparse.Namespace) -> "list[str]":
    """The options of `covsup run` and `covsup env` for those of pytest."""
    return run_options(
        options.covsup_source,
        branch=options.covsup_branch,
        append=options.covsup_append,
        rcfile=options.covsup_config,
    )


def restart(options: argparse.Namespace) -> None:
    """Replace this process with the supervisor of the same pytest. Does not return."""
    words = [sys.executable, "-P", "-m", "covsup", "run", *session_options(options), "--"]
    sys.stdout.flush()
    sys.stderr.flush()
    os.environ[RESTARTED] = "1"
    os.execv(sys.executable, [*words, sys.executable, *sys.orig_argv[1:]])


def measure_from_here(options: argparse.Namespace) -> "list[str]":
    """Open a session and measure this process. Returns messages, a sentence each.

    Raises UsageError if the session cannot be opened.
    """
    from covsup.pytest_reports import ask_new_process  # only if it is needed

    answer = ask_new_process(
        {"do": "open", "pid": os.getpid(), "options": session_options(options)}
    )
    if "session" not in answer:
        raise pytest.UsageError(answer["error"])
    messages: list[str] = answer["warnings"]
    late = sorted(
        name
        for name, module in list(sys.modules.items())
        if "." not in name
        and name != "__main__"
        and _is_of_the_project(getattr(module, "__file__", None))
    )
    os.environ["COVSUP_SESSION"] = answer["session"]
    if "preload" in answer:
        os.environ["LD_PRELOAD"] = answer["preload"]
    embed.init()
    _covsup_modules.update(
        (name, module) for name, module in sys.modules.items() if name.startswith("covsup.")
    )
    if late:
        shown = ", ".join(late[:8]) + (", ..." if len(late) > 8 else "")
        messages.append(f"imported before measurement began: {shown}")
    return messages


def _is_of_the_project(file: str | None) -> bool:
    if not file or os.sep + "site-packages" + os.sep in file:
        return False
    return Path(file).is_relative_to(Path.cwd())
