"""What `pytest --covsup` does while tests run and when they have: contexts, reports, the minimum.

The facts are in journals already; another process folds them and makes the reports, so that
nothing of what that needs is imported here.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from covsup import embed

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Generator, Sequence
    from typing import Any


class Reporting:
    """The plugin that is registered where measurement was asked for."""

    def __init__(self, options: "argparse.Namespace", session: str, late: "Sequence[str]") -> None:
        """Report on the session in the directory `session`; `late` had been imported before it."""
        self._options = options
        self._session = session
        self._late = late
        self._start = Path.cwd()
        self._answer: dict[str, Any] = {}
        reports = options.covsup_report or {"term": None}
        self._reports = {kind: where for kind, where in reports.items() if kind}

    def pytest_report_header(self, config: pytest.Config) -> "list[str]":
        """Say what could not be measured from its first line, and who else measures."""
        lines = []
        if self._late:
            shown = ", ".join(self._late[:8]) + (", ..." if len(self._late) > 8 else "")
            lines.append(f"covsup: imported before measurement began: {shown}")
        if config.pluginmanager.hasplugin("_cov"):
            lines.append("covsup: --cov is pytest-cov's, which is installed; both measure")
        return lines

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> "Generator[None]":
        """The context of a test's set-up."""
        return (yield from self._in_context(item, "setup"))

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> "Generator[None]":
        """The context of a test."""
        return (yield from self._in_context(item, "run"))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> "Generator[None]":
        """The context of a test's tear-down."""
        return (yield from self._in_context(item, "teardown"))

    def _in_context(self, item: pytest.Item, phase: str) -> "Generator[None]":
        if self._options.covsup_context != "test":
            return (yield)
        embed.switch_context(f"{item.nodeid}|{phase}")
        try:
            return (yield)
        finally:
            embed.switch_context(None)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self, session: pytest.Session) -> "Generator[None, object, object]":
        """Make the reports when all tests have run: only now can they still make the run fail."""
        result = yield
        config = session.config
        failed = bool(session.testsfailed)
        if hasattr(config, "workerinput") or (failed and self._options.covsup_not_on_fail):
            return result
        self._answer = self._ask()
        terminal = config.pluginmanager.getplugin("terminalreporter")
        error = self._answer.get("error")
        if error and terminal is not None:
            terminal.write(f"\nWARNING: covsup: {error}\n", red=True, bold=True)
        if self._answer.get("below") and not config.option.collectonly:
            if terminal is not None:
                minimum = self._answer["fail_under"]
                terminal.write(
                    f"\nERROR: Coverage failure: total of {self._answer['shown']} is less than "
                    f"fail-under={minimum:.{self._answer['precision']}f}\n",
                    red=True,
                    bold=True,
                )
            session.testsfailed += 1
        return result

    def pytest_terminal_summary(self, terminalreporter: "Any") -> None:
        """Print what goes to the terminal."""
        text, minimum = self._answer.get("text", ""), self._answer.get("fail_under")
        if not text and not minimum:
            return
        terminalreporter.write_sep("=", "tests coverage")
        version = sys.version_info
        title = "coverage: platform {}, python {}.{}.{}-{}-{}".format(sys.platform, *version)
        if text:
            terminalreporter.write_sep("_", title)
            terminalreporter.write(f"\n{text}")
        if minimum and not terminalreporter.config.option.collectonly:
            below = self._answer["below"]
            colour = {"red": True, "bold": True} if below else {"green": True}
            terminalreporter.write(
                f"{'FAIL ' if below else ''}Required test coverage of {minimum:g}% "
                f"{'not reached' if below else 'reached'}. "
                f"Total coverage: {self._answer['total']:.2f}%\n",
                **colour,
            )

    def _ask(self) -> "dict[str, Any]":
        options = self._options
        request = {
            "session": self._session,
            "append": options.covsup_append,
            "reports": self._reports,
            "fail_under": options.covsup_fail_under,
            "precision": options.covsup_precision,
            "rcfile": options.covsup_config,
        }
        answered = subprocess.run(
            [sys.executable, "-P", "-m", "covsup", "--answer-pytest"],
            input=json.dumps(request),
            capture_output=True,
            text=True,
            check=False,
            cwd=self._start,
            env={**os.environ, "COVSUP_SESSION": ""},  # it is no process of the session
        )
        try:
            answer: dict[str, Any] = json.loads(answered.stdout)
        except ValueError:
            answer = {"error": f"no report could be made: {answered.stderr.strip()[-500:]}"}
        return answer
