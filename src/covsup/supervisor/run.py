"""`covsup run`: start the target, stand beside it until it and what it started have ended, combine.

Until the target has ended this process does nothing but pass signals on, wait for children and
watch; what was executed is in the journals whatever happens here.
"""

from __future__ import annotations

import _thread
import os
import resource
import signal
import time

from covsup.datafile.session import tidy_sessions_directory
from covsup.hints import TYPE_CHECKING
from covsup.supervisor import interpreter, launch, linux, signals
from covsup.supervisor.conclusion import conclude, prepare
from covsup.supervisor.errors import UsageError
from covsup.supervisor.opening import carrier_to_preload, check_data_file, open_session
from covsup.supervisor.reporter import Reporter, offer
from covsup.supervisor.say import complain
from covsup.supervisor.sentry import Sentry
from covsup.supervisor.settings import command_line_of, run_settings
from covsup.supervisor.target import find_target
from covsup.supervisor.watch import Watcher

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from pathlib import Path
    from typing import Final, NoReturn

    from covsup.datafile.session import Session
    from covsup.supervisor.settings import RunSettings
    from covsup.supervisor.signals import Received
    from covsup.supervisor.target import Target


_SHORT_SECONDS: Final = 0.2
"""A target younger than this is still starting, and needs the machine more than we do."""

_PREPARED_SECONDS: Final = 1.0
"""So long a request for a report waits for what is being loaded, and signals with it."""


def run(options: argparse.Namespace, words: Sequence[str]) -> NoReturn:
    """Do it, and end as the target did. Raises UsageError before the target was started."""
    words = words or command_line_of(options.rcfile)
    if not words:
        raise UsageError(
            "nothing to run: name a script, -m MODULE or a command (or set command_line in"
            " coverage.py's settings)"
        )
    settings = run_settings(options, words)
    target = find_target(words)
    libraries = [name for name in settings.concurrency if name in interpreter.LIBRARIES]
    carrier = carrier_to_preload() if settings.carrier else None
    interpreter.check(
        target,
        libraries=libraries,
        core=settings.core,
        plugins=_plugins_to_install(settings),
        carried=settings.carrier,
    )
    check_data_file(settings)
    _check_parallel_mode(settings)
    for warning in settings.warnings:
        complain(warning)
    for name in launch.COVERAGES:
        if os.environ.get(name):
            complain(f"{name} is not passed on: covsup measures every process itself")
    session = open_session(settings, command=target.words, supervisor_pid=os.getpid())
    if settings.for_pytest:
        offer(session.path)
    try:
        status = _supervise(session, settings, target, carrier)
    except UsageError:
        session.delete()
        tidy_sessions_directory(session.path.parent)
        raise
    if not settings.parallel_mode:
        status = conclude(session, settings, status)
    signals.die_like_the_target(status)


def _plugins_to_install(settings: RunSettings) -> tuple[str, ...]:
    """The packages with plugins that the target's interpreter must have."""
    if not settings.plugins:
        return ()
    from covsup.supervisor.plugins import installed  # noqa: PLC0415 - it imports coverage.py

    return installed(settings.plugins, settings.plugin_path)


def _check_parallel_mode(settings: RunSettings) -> None:
    """Refuse to judge a result that there will not be."""
    for wanted, option in (
        (settings.strict, "--strict"),
        (settings.fail_under is not None, "--fail-under"),
    ):
        if settings.parallel_mode and wanted:
            raise UsageError(f"{option} needs the result, which --parallel-mode leaves to combine")


def _supervise(
    session: Session, settings: RunSettings, target: Target, carrier: Path | None
) -> int:
    """From before the start to the end of the grace; signals are the target's all that time."""
    mask = signals.block()
    try:
        # In this order: the sentry is small while little is imported.
        sentry = _sentry(target) if linux.HAS_PROC else None
        try:
            if not settings.leave_orphans:
                linux.adopt_orphans()
            environment = launch.environment_for_target(session.path, carrier)
            if sentry is not None:
                # What went to the group until now, the target does not have.
                sentry.forget(*signal.valid_signals())
            pid = launch.start(target, environment, mask)
            _have_descriptors()
            return _Supervision(session, settings, pid, sentry).run()
        finally:
            if sentry is not None:
                sentry.close()
    finally:
        signals.unblock(mask)


def _sentry(target: Target) -> Sentry:
    try:
        return Sentry(target.argv)
    except OSError as error:
        raise UsageError(f"cannot start a process: {error.strerror}") from error


def _have_descriptors() -> None:
    """Have as many as we may: one is held per process of the tree. The target has started."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class _Supervision:
    """The time between the start of the target and the end of the grace."""

    def __init__(
        self, session: Session, settings: RunSettings, target: int, sentry: Sentry | None
    ) -> None:
        self._settings = settings
        self._target = target
        self._sentry = sentry
        self._status: int | None = None
        self._began = time.monotonic()
        self._is_prepared = settings.parallel_mode  # then there is nothing to prepare
        self._preparing = _thread.allocate_lock()  # held while `prepare` runs
        self._reporter = Reporter(session.path, target) if settings.for_pytest else None
        self._reporting = 0  # the pid of a fork of ours that reports
        helpers = {sentry.pid} if sentry is not None else set()
        self._watcher = Watcher(session, not_ours=helpers, carried=settings.carrier)

    def run(self) -> int:
        """Wait for the target, then for what it left; the target's raw wait status."""
        self._watcher.look()
        while self._status is None:
            self._step()
        self._grace()
        if self._reporting:
            # pytest does not wait for it any longer.
            os.kill(self._reporting, signal.SIGKILL)
            os.waitpid(self._reporting, 0)
        self._watcher.finish(self._why_not)
        return self._status

    def _why_not(self, program: str) -> str:
        answer = interpreter.ask(program, ())
        if answer is None:
            return ""
        return interpreter.why_not(program, answer, carried=self._settings.carrier)

    def _step(self) -> Received | None:
        """Until the next signal or the next look; the signal, if it was for nobody else."""
        received = signals.receive(self._watcher.interval)
        if received is None:
            self._reap()
            self._watcher.look()
            self._prepare()
            self._report()
            return None
        if signals.is_the_bell(received):
            self._report()
            self._watcher.answer_bell()
            return None
        for_us = False
        if not signals.is_from_a_child(received):
            for_us = self._status is not None
            # Before we look for children, and perhaps stop with the target: whether a signal went
            # to the whole group can be told only now.
            if not for_us and signals.is_for_the_target(
                received, self._sentry, self._watcher.is_child
            ):
                signals.pass_on(received.number, self._target)
        self._reap()
        if self._watcher.is_due:
            # Signals without end may not keep us from looking.
            self._watcher.look()
        return received if for_us else None

    def _prepare(self) -> None:
        """Load what the end needs while there is nothing to do, if the target is no short one."""
        if self._is_prepared:
            return
        # pytest is no short one, and wants its report as soon as the tests have run.
        if self._settings.for_pytest or time.monotonic() - self._began > _SHORT_SECONDS:
            self._is_prepared = True
            # In a thread, for signals that come meanwhile: two that wait for us become one.
            self._preparing.acquire()
            try:
                _thread.start_new_thread(self._prepare_in_thread, ())
            except RuntimeError:  # no thread is to be had
                self._preparing.release()

    def _prepare_in_thread(self) -> None:
        try:
            prepare(self._settings)
        finally:
            self._preparing.release()

    def _report(self) -> None:
        """Answer pytest, if it asks for its report."""
        if self._reporter is None or self._reporting or not self._reporter.is_asked():
            return
        # A fork while another thread imports would have that import's lock for ever.
        if self._preparing.acquire(timeout=_PREPARED_SECONDS):
            try:
                self._reporting = self._reporter.answer()
            finally:
                self._preparing.release()
            if self._reporting:
                self._watcher.leave_out(self._reporting)

    def _grace(self) -> None:
        """Wait for stragglers; whoever wants us to end cuts it short."""
        until = time.monotonic() + self._settings.grace
        self._watcher.look()
        while time.monotonic() < until:
            if not self._watcher.alive():
                # Whoever ended during that look may have started somebody before.
                if self._watcher.was_still:
                    return
                self._watcher.look()
                continue
            received = self._step()
            if received is not None and signals.asks_to_end(received):
                return

    def _reap(self) -> None:
        """Wait for every child that has ended, and follow the target when it stops."""
        while True:
            try:
                ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if ended is None:
                break
            self._watcher.about_to_be_reaped(ended.si_pid)
            pid, status = os.waitpid(ended.si_pid, 0)
            self._watcher.reaped(pid, status)
            if pid == self._target:
                self._status = status
            elif pid == self._reporting:
                self._reporting = 0
            elif self._sentry is not None and pid == self._sentry.pid:
                # Somebody killed it: what went to the group is guessed from now on.
                self._sentry = None
        if self._status is None:
            self._follow_stops()

    def _follow_stops(self) -> None:
        pid, status = os.waitpid(self._target, os.WNOHANG | os.WUNTRACED)
        while pid and os.WIFSTOPPED(status):
            was_continued = signals.stop_like_the_target(
                os.WSTOPSIG(status), self._target, self._sentry
            )
            # What became of it meanwhile is an event of its own: it may even be stopped again.
            pid, status = os.waitpid(self._target, os.WNOHANG | os.WUNTRACED | os.WCONTINUED)
            if pid == 0 and was_continued:
                # Somebody continued us alone.
                signals.pass_on(signal.SIGCONT, self._target)
            if pid and os.WIFCONTINUED(status):
                pid, status = os.waitpid(self._target, os.WNOHANG | os.WUNTRACED)
        if pid:
            # It ended after the other children were waited for.
            self._watcher.reaped(pid, status)
            self._status = status
