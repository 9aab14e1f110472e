"""What `pytest --covsup` does during and after the tests: contexts, reports, the minimum.

The recorded lines are in journals already. Another process folds them and makes the reports, so
nothing that this needs is imported here.
"""

import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from covsup import embed

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Generator, Sequence
    from typing import Any


_pending: "dict[int, ReportPlugin]" = {}
"""The plugin whose report is pending, by process id. There may be a second plugin in the process:
pytester runs a pytest in the process of another one."""


class ContextPlugin:
    """Makes each test a context. Registered only if that is asked for."""

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
        entered = embed.enter_test(f"{item.nodeid}|{phase}")
        try:
            return (yield)
        finally:
            embed.leave_test(entered)


class ReportPlugin:
    """Makes the reports. Registered only if pytest measures."""

    def __init__(
        self, options: "argparse.Namespace", session: str, messages: "Sequence[str]"
    ) -> None:
        """Report on the session in the directory `session`; `messages` go into the header."""
        self._options = options
        self._session = session
        self._messages = messages
        self._start_directory = Path.cwd()
        self._answer: dict[str, Any] = {}
        self._pid = 0
        self._status: int | None = None
        reports = options.covsup_report or {"term": None}
        self._reports = {kind: where for kind, where in reports.items() if kind}

    def pytest_report_header(self, config: pytest.Config) -> "list[str]":
        """Show the messages, and whether pytest-cov measures, too."""
        lines = [f"covsup: {sentence}" for sentence in self._messages]
        if config.pluginmanager.hasplugin("_cov"):
            lines.append("covsup: --cov is pytest-cov's, which is installed; both measure")
        return lines

    def pytest_sessionstart(self, session: pytest.Session) -> None:
        """Write down which report is wanted: the supervisor makes it if this process is killed."""
        if hasattr(session.config, "workerinput"):
            return
        self._pid = os.getpid()
        if not is_inside_another_pytest(self._session):
            self._write_pending()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self, session: pytest.Session) -> "Generator[None, object, object]":
        """Make the reports when all tests have run: later, they could not make the run fail."""
        try:
            result = yield
        except BaseException:
            # -x, Ctrl-C, pytest.exit(): report what has run until now.
            self._report(session, failed=True)
            raise
        self._report(session, failed=bool(session.testsfailed))
        return result

    def pytest_terminal_summary(self, terminalreporter: "Any") -> None:
        """Print the messages, the report and the total."""
        for sentence in self._answer.get("said", ()):
            terminalreporter.write(f"covsup: {sentence}\n")
        text, verdict = self._answer.get("text", ""), self._answer.get("verdict", "")
        if not text and not verdict:
            return
        terminalreporter.write_sep("=", "tests coverage")
        if text:
            terminalreporter.write_sep("_", _title())
            terminalreporter.write(f"\n{text}")
        if verdict and not terminalreporter.config.option.collectonly:
            below = self._answer["below"]
            colour = {"red": True, "bold": True} if below else {"green": True}
            terminalreporter.write(f"{verdict}\n", **colour)

    def pytest_sessionfinish(self, exitstatus: int) -> None:
        """Remember the exit status."""
        self._status = int(exitstatus)

    def pytest_unconfigure(self) -> None:
        """Withdraw the pending report, unless pytest itself has failed."""
        if self._pid not in _pending or _pending[self._pid] is not self:
            return
        del _pending[self._pid]
        if self._pid == os.getpid() and self._status != pytest.ExitCode.INTERNAL_ERROR:
            Path(self._pending_path()).unlink(missing_ok=True)

    def _report(self, session: pytest.Session, *, failed: bool) -> None:
        # A child that a test has forked may get here, too. Only the parent reports.
        if self._pid != os.getpid() or (failed and self._options.covsup_not_on_fail):
            return
        request = {**self._request(), "directory": os.fspath(self._start_directory)}
        self._answer = ask_supervisor(request) or ask_new_process(request, self._start_directory)
        terminal = session.config.pluginmanager.getplugin("terminalreporter")
        error = self._answer.get("error")
        if error and terminal is not None:
            terminal.write(f"\nWARNING: Failed to generate report: {error}\n", red=True, bold=True)
        if self._answer.get("below") and not session.config.option.collectonly:
            if terminal is not None:
                total, minimum = self._answer["shown"]
                terminal.write(
                    f"\nERROR: Coverage failure: total of {total} is less than "
                    f"fail-under={minimum}\n",
                    red=True,
                    bold=True,
                )
            session.testsfailed += 1

    def _request(self) -> "dict[str, Any]":
        options = self._options
        return {
            "do": "report",
            "pid": self._pid,
            "session": self._session,
            "append": options.covsup_append,
            "reports": self._reports,
            "fail_under": options.covsup_fail_under,
            "precision": options.covsup_precision,
            "rcfile": options.covsup_config,
        }

    def _pending_path(self) -> str:
        return _pending_path_of(self._session, self._pid)

    def _write_pending(self) -> None:
        if not self._reports and self._options.covsup_fail_under is None:
            return
        pending = {
            **self._request(),
            "directory": os.fspath(self._start_directory),
            "title": _title(),
            "not_on_fail": self._options.covsup_not_on_fail,
        }
        try:
            new = Path(f"{self._pending_path()}.new")
            new.write_text(json.dumps(pending), encoding="utf-8")
            new.rename(self._pending_path())
        except OSError:
            return  # another user may not write there; the tests run anyway
        _pending[self._pid] = self


def _pending_path_of(session: str, pid: int) -> str:
    return f"{session}/pytest-{pid}.owed"


def is_inside_another_pytest(session: str) -> bool:
    """Whether a test of another pytest of the session has started this one.

    The other one reports at its end, even if this one is killed.
    """
    if os.getpid() in _pending:
        return True
    pid = os.getppid()
    while pid > 1:
        if Path(_pending_path_of(session, pid)).exists():
            return True
        try:
            stat = Path(f"/proc/{pid}/stat").read_bytes()
        except OSError:
            return False
        pid = int(stat.rpartition(b")")[2].split()[1])
    return False


def _title() -> str:
    return "coverage: platform {}, python {}.{}.{}-{}-{}".format(sys.platform, *sys.version_info)


def ask_supervisor(request: "dict[str, Any]") -> "dict[str, Any] | None":
    """Send the request to the supervisor, which has loaded what reports need.

    It answers only if it is this process's parent and has restarted it. Returns None if not.
    """
    import select  # subprocess imports it here, too

    supervisor = os.getppid()
    base = f"{request['session']}/pytest-{os.getpid()}"
    files = [f"{base}.answer", f"{base}.request.new", f"{base}.request"]
    answered = b""
    try:
        offered = Path(request["session"], "answers-pytest").read_text(encoding="ascii")
        if offered != str(supervisor):
            return None
        os.mkfifo(files[0], 0o600)
        descriptor = os.open(files[0], os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            Path(files[1]).write_text(json.dumps(request), encoding="utf-8")
            os.link(files[1], files[2])  # it appears complete, with the event that inotify awaits
            poll = select.poll()
            poll.register(descriptor, select.POLLIN)
            while os.getppid() == supervisor:
                if not poll.poll(1000):
                    continue
                chunk = os.read(descriptor, 1 << 16)
                if not chunk:
                    break
                answered += chunk
        finally:
            os.close(descriptor)
        answer: dict[str, Any] = json.loads(answered)
    except (OSError, ValueError):
        return None
    finally:
        for file in files:
            with suppress(OSError):
                Path(file).unlink()
    return answer


def ask_new_process(request: "dict[str, Any]", directory: Path | None = None) -> "dict[str, Any]":
    """Send the request to a new process of covsup's. A failure is the answer's "error"."""
    try:
        answered = subprocess.run(
            [sys.executable, "-P", "-m", "covsup", "--answer-pytest"],
            input=json.dumps(request),
            capture_output=True,
            text=True,
            check=False,
            cwd=directory,
            env={**os.environ, "COVSUP_SESSION": ""},  # it does not belong to the session
        )
    except OSError as error:
        return {"error": str(error)}
    try:
        answer: dict[str, Any] = json.loads(answered.stdout)
    except ValueError:
        return {"error": answered.stderr.strip()[-500:] or "covsup gave no answer"}
    return answer
