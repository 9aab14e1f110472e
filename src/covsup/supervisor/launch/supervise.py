"""`covsup run`: start the target, wait for it and for what it left, combine, end with its status.

Until the target has ended, this process only forwards signals, waits for children and watches the
tree. What was executed is in the journals, whatever happens here.
"""

from __future__ import annotations

import os
import resource
import signal
import time
from functools import partial

from covsup.datafile.session.places import tidy_sessions_directory
from covsup.hints import TYPE_CHECKING
from covsup.supervisor.combining.early_imports import EarlyImports
from covsup.supervisor.combining.enclosing_run import (
    announce_inner_run,
    enclosing_session,
    withdraw_inner_run,
)
from covsup.supervisor.combining.finish import RunEnd
from covsup.supervisor.errors import UsageError
from covsup.supervisor.launch import interpreter, launch
from covsup.supervisor.launch.target import find_target
from covsup.supervisor.messages import in_one_line, print_message
from covsup.supervisor.sessions.create import check_data_file, required_carrier, start_session
from covsup.supervisor.settings.resolved_settings import (
    configured_command_line,
    resolve_run_settings,
)
from covsup.supervisor.short_commands import describe_process, first_few
from covsup.supervisor.watching import linux, signals
from covsup.supervisor.watching.signal_witness import SignalWitness
from covsup.supervisor.watching.watcher import Watcher

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from typing import Final, NoReturn

    from covsup.datafile.session.directory import Session
    from covsup.supervisor.launch.pytest_reporter import Reporter
    from covsup.supervisor.launch.target import Target
    from covsup.supervisor.settings.resolved_settings import RunSettings
    from covsup.supervisor.watching.signals import Received
    from covsup.supervisor.watching.watched_process import WatchedProcess


_OPEN_MAX: Final = 10_240
"""Of <sys/syslimits.h> on macOS."""

_STARTUP_SECONDS: Final = 0.2
"""A younger target is still starting, and needs the processor more than covsup does."""

_UNWATCHED_POLL_SECONDS: Final = 0.1
"""How often to look for the target's end if watching the tree has failed."""

_IMPORT_WAIT_SECONDS: Final = 1.0
"""How long a request for a report, and every signal, waits for imports that are under way."""


def run_target(options: argparse.Namespace, words: Sequence[str]) -> NoReturn:
    """Run the target, wait for its process tree, combine, and end with the target's status.

    Raises UsageError if the target was not started.
    """
    words = words or configured_command_line(options.rcfile)
    if not words:
        raise UsageError(
            "nothing to run: name a script, -m MODULE or a command (or set command_line in"
            " coverage.py's settings)"
        )
    settings = resolve_run_settings(options, words)
    target = find_target(words)
    libraries = [name for name in settings.concurrency if name in interpreter.LIBRARIES]
    carrier = required_carrier() if settings.carrier else None
    interpreter.check(
        target,
        libraries=libraries,
        core=settings.core,
        plugins=_plugins_to_install(settings),
        uses_carrier=settings.carrier,
    )
    check_data_file(settings)
    _check_parallel_mode(settings)
    for warning in settings.warnings:
        print_message(warning)
    for name in launch.COVERAGE_STARTUP_VARIABLES:
        if os.environ.get(name):
            print_message(f"{name} is not passed on: covsup measures every process itself")
    if os.environ.get("NOTIFY_SOCKET") and os.environ.get("SYSTEMD_EXEC_PID") == str(os.getpid()):
        print_message(
            "systemd accepts READY=1 and WATCHDOG=1 only from the service's main process, which is"
            " covsup: set NotifyAccess=all in the unit, or use `covsup env --shell=systemd`, with"
            " which TARGET is the main process"
        )
    # Block signals before the session exists: one that ended covsup would leave it behind.
    mask = signals.block()
    try:
        outer = enclosing_session(settings.data_file)
        session = start_session(
            settings,
            command=target.words,
            supervisor_pid=os.getpid(),
            within="" if outer is None else outer.id,
        )
    except BaseException:
        signals.unblock(mask)
        raise
    enclosing = None if outer is None else announce_inner_run(outer, session)
    if settings.for_pytest:
        from covsup.supervisor.launch.pytest_reporter import announce_reporter

        announce_reporter(session.path)
    try:
        supervision = _supervise(session, settings, target, carrier, mask)
    except UsageError:
        signals.unblock(mask)
        withdraw_inner_run(enclosing)
        session.delete()
        tidy_sessions_directory(session.path.parent)
        raise
    status = RunEnd(session, settings, supervision.status, enclosing).finish_run(
        mask, supervision.early_imports, supervision.finish_watching
    )
    signals.end_like_target(status)


def _plugins_to_install(settings: RunSettings) -> tuple[str, ...]:
    """The packages of plugins that the target's interpreter must have."""
    if not settings.plugins:
        return ()
    from covsup.supervisor.settings.plugins import packages_to_install

    return packages_to_install(settings.plugins, settings.plugin_path)


def _check_parallel_mode(settings: RunSettings) -> None:
    """Refuse options that need the result, of which --parallel-mode makes none."""
    for wanted, option in (
        (settings.strict, "--strict"),
        (settings.fail_under is not None, "--fail-under"),
    ):
        if settings.parallel_mode and wanted:
            raise UsageError(
                f"{option} needs the result, which --parallel-mode leaves to `covsup combine`"
            )


def _supervise(
    session: Session, settings: RunSettings, target: Target, carrier: Path | None, mask: set[int]
) -> Supervision:
    """Start the target, and wait for it and for what it leaves. Signals are forwarded to it.

    The caller has blocked them; the target's mask is `mask`. Raises UsageError if it did not start.
    """
    # In this order: the witness is small while little is imported.
    witness = _witness(target) if linux.HAS_PROC else None
    try:
        if not settings.leave_orphans:
            linux.adopt_orphans()
        environment = launch.environment_for_target(session.path, carrier)
        if witness is not None:
            # The target does not exist yet, so it has not got what was sent to the group until now.
            witness.discard_pending(*signal.valid_signals())
        pid = launch.start(target, environment, mask)
        supervision = Supervision(session, settings, pid, witness)
        supervision.run()
        return supervision
    finally:
        if witness is not None:
            witness.close()


def _witness(target: Target) -> SignalWitness:
    try:
        return SignalWitness(target.argv)
    except OSError as error:
        raise UsageError(f"cannot start a process: {error.strerror}") from error


def _raise_descriptor_limit() -> None:
    """Allow this process as many descriptors as possible: it holds one for each process of the tree.

    Call it after the target has started, which inherits the limit. macOS has an infinite hard limit,
    and refuses it as a soft one, but accepts OPEN_MAX. If nothing is accepted, some processes of the
    tree have no descriptor here.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for wanted in (hard, _OPEN_MAX):
        if wanted == _OPEN_MAX and resource.RLIM_INFINITY != soft >= wanted:
            return
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        except (OSError, ValueError):
            continue
        return


class Supervision:
    """The time between the start of the target and the end of the grace."""

    def __init__(
        self, session: Session, settings: RunSettings, target: int, witness: SignalWitness | None
    ) -> None:
        """`target` is the pid of the target. It runs, so nothing may raise from here on."""
        self.status = 0  # the target's raw wait status, once it has ended
        self.early_imports = EarlyImports(settings)
        self._session = session
        self._settings = settings
        self._target = target
        self._witness = witness
        self._has_ended = False
        self._began = time.monotonic()
        self._watcher: Watcher | None = None
        self._reporter: Reporter | None = None
        self._reporting = 0  # the pid of a fork of ours that reports
        self._watch_error = ""  # the first failure of watching, in one line
        if settings.for_pytest:
            from covsup.supervisor.launch.pytest_reporter import Reporter

            self._reporter = Reporter(session.path, target)

    def run(self) -> None:
        """Wait for the target, then for what it left."""
        self._watch_safely(self._start_watching)
        while not self._has_ended:
            self._step()
        self._grace()
        if self._reporting:
            # The pytest that asked no longer waits for an answer.
            os.kill(self._reporting, signal.SIGKILL)
            os.waitpid(self._reporting, 0)
        if self._watcher is not None:
            self._watch_safely(self._watcher.finish)

    def finish_watching(self) -> str:
        """After the end: find out why Pythons were not measured. Gives what went wrong, or ""."""
        if self._watcher is not None:
            self._watcher.explain_unmeasured(self._why_unmeasured)
            if self._watcher.deletion_message:
                print_message(self._watcher.deletion_message)
        return self._watch_error

    def _start_watching(self) -> None:
        _raise_descriptor_limit()
        helpers = {self._witness.pid} if self._witness is not None else set()
        self._watcher = Watcher(
            self._session, not_ours=helpers, uses_carrier=self._settings.carrier
        )
        self._watcher.scan()

    def _watch_safely(self, step: Callable[[], None]) -> bool:
        """Do a step of watching; whether it worked. No failure may harm the target."""
        try:
            step()
        except Exception as error:  # noqa: BLE001 - reported at the end
            self._watch_error = self._watch_error or in_one_line(error)
            return False
        return True

    def _scan(self) -> bool:
        return self._watcher is not None and self._watch_safely(self._watcher.scan)

    def _is_child(self, pid: int) -> bool:
        try:
            return self._watcher is not None and self._watcher.is_child(pid)
        except OSError:
            return False

    def _why_unmeasured(self, program: str) -> str:
        answer = interpreter.probe(program, ())
        if answer is None:
            return ""
        return interpreter.why_not(program, answer, uses_carrier=self._settings.carrier)

    def _step(self) -> Received | None:
        """Wait for a signal or the next scan, and handle it. Gives the signal if it is for covsup."""
        watcher = self._watcher
        received = signals.receive(_UNWATCHED_POLL_SECONDS if watcher is None else watcher.interval)
        if received is None:
            self._reap()
            self._scan()
            # pytest runs for a while, and asks for its report as soon as the tests have run.
            if self._settings.for_pytest or time.monotonic() - self._began > _STARTUP_SECONDS:
                self.early_imports.begin()
            self._watch_safely(self._report)
            return None
        if signals.is_inotify_signal(received):
            self._watch_safely(self._report)
            if watcher is not None:
                self._watch_safely(watcher.on_inotify)
            return None
        for_us = False
        if not signals.is_child_event(received):
            for_us = self._has_ended
            # Before children are reaped, and covsup perhaps stops with the target: only now can be
            # found out whether the signal went to the whole group.
            if not for_us and signals.is_for_target(received, self._witness, self._is_child):
                signals.forward(received.number, self._target)
        self._reap()
        if watcher is not None and watcher.is_due:
            # An endless stream of signals must not prevent the scan.
            self._scan()
        return received if for_us else None

    def _report(self) -> None:
        """Answer pytest if it asks for its report."""
        if self._reporter is None or self._reporting or not self._reporter.is_asked():
            return
        # In a fork made while another thread imports, that import's lock is held for ever.
        if self.early_imports.wait_at_most(_IMPORT_WAIT_SECONDS):
            self._reporting = self._reporter.answer()
            if self._reporting and self._watcher is not None:
                self._watcher.ignore_child(self._reporting)

    def _grace(self) -> None:
        """Wait for processes that the target left and that may run Python, or for an end signal."""
        began = time.monotonic()
        until = began + self._settings.grace
        announced = not self._settings.announce
        self._scan()
        while self._watcher is not None and (now := time.monotonic()) < until:
            waiting = self._watcher.may_run_python()
            if not waiting:
                # A process that ended during that scan may have started another one before.
                if self._watcher.saw_no_change or not self._scan():
                    return
                continue
            if not announced and now - began > _STARTUP_SECONDS:
                announced = True
                self._announce(waiting)
            received = self._step()
            if received is not None and signals.is_end_signal(received):
                return

    def _announce(self, waiting: Sequence[WatchedProcess]) -> None:
        named = first_few(
            [
                describe_process(each.pid, each.program.argv if each.program else ())
                for each in waiting
            ]
        )
        noun = "process" if len(waiting) == 1 else "processes"
        print_message(
            f"waiting up to {self._settings.grace:g} s for what the target left: {noun} {named};"
            " Ctrl-C ends the wait"
        )

    def _reap(self) -> None:
        """Reap every child that has ended, and stop when the target has stopped."""
        while True:
            try:
                ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if ended is None:
                break
            if self._watcher is not None:
                self._watch_safely(partial(self._watcher.about_to_be_reaped, ended.si_pid))
            pid, status = os.waitpid(ended.si_pid, 0)
            self._record_end(pid, status)
            if pid == self._reporting:
                self._reporting = 0
            elif self._witness is not None and pid == self._witness.pid:
                # It was killed: from now on, covsup guesses which signals went to the group.
                self._witness = None
        if not self._has_ended:
            self._mirror_stops()

    def _record_end(self, pid: int, status: int) -> None:
        if pid == self._target:
            self.status, self._has_ended = status, True
        if self._watcher is not None:
            self._watch_safely(partial(self._watcher.reaped, pid, status))

    def _mirror_stops(self) -> None:
        pid, status = os.waitpid(self._target, os.WNOHANG | os.WUNTRACED)
        while pid and os.WIFSTOPPED(status):
            was_continued = signals.stop_like_target(
                os.WSTOPSIG(status), self._target, self._witness
            )
            # The target may have ended meanwhile, or have been continued and stopped again.
            pid, status = os.waitpid(self._target, os.WNOHANG | os.WUNTRACED | os.WCONTINUED)
            if pid == 0 and was_continued:
                # Only covsup was continued: continue the target.
                signals.forward(signal.SIGCONT, self._target)
            if pid and os.WIFCONTINUED(status):
                pid, status = os.waitpid(self._target, os.WNOHANG | os.WUNTRACED)
        if pid:
            # It ended after the other children were reaped.
            self._record_end(pid, status)
