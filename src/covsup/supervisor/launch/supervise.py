"""`covsup run`: start the target, stand beside it until it and what it started have ended, combine.

Until the target has ended this process does nothing but pass signals on, wait for children and
watch; what was executed is in the journals whatever happens here.
"""

from __future__ import annotations

import os
import resource
import signal
import time
from functools import partial

from covsup.datafile.session.directory import tidy_sessions_directory
from covsup.hints import TYPE_CHECKING
from covsup.supervisor.combining.early_imports import EarlyImports
from covsup.supervisor.combining.finish import RunEnd
from covsup.supervisor.errors import UsageError
from covsup.supervisor.launch import interpreter, launch
from covsup.supervisor.launch.pytest_reporter import Reporter, announce_reporter
from covsup.supervisor.launch.target import find_target
from covsup.supervisor.messages import in_one_line, print_message
from covsup.supervisor.sessions.create import check_data_file, open_session, required_carrier
from covsup.supervisor.sessions.enclosing_run import announce, enclosing_session, withdraw_inner_run
from covsup.supervisor.settings.run_settings import configured_command_line, resolve_run_settings
from covsup.supervisor.tree.short_commands import first_few, process
from covsup.supervisor.watching import linux, signals
from covsup.supervisor.watching.signal_witness import SignalWitness
from covsup.supervisor.watching.watch import Watcher

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from typing import Final, NoReturn

    from covsup.datafile.session.directory import Session
    from covsup.supervisor.launch.target import Target
    from covsup.supervisor.settings.run_settings import RunSettings
    from covsup.supervisor.watching.signals import Received
    from covsup.supervisor.watching.watch import Watched


_OPEN_MAX: Final = 10_240
"""Of macOS: <sys/syslimits.h>."""

_STARTUP_SECONDS: Final = 0.2
"""A target younger than this is still starting, and needs the machine more than we do."""

_UNWATCHED_POLL_SECONDS: Final = 0.1
"""Between two looks for the target's end where the tree cannot be watched."""
_IMPORT_WAIT_SECONDS: Final = 1.0
"""So long a request for a report waits for what is being loaded, and signals with it."""


def run_target(options: argparse.Namespace, words: Sequence[str]) -> NoReturn:
    """Do it, and end as the target did. Raises UsageError before the target was started."""
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
            "systemd takes what TARGET reports (READY=1, WATCHDOG=1) from the service's main process"
            " alone, which is covsup, unless the unit has NotifyAccess=all; with the session of"
            " `covsup env --shell=systemd` TARGET is the main process"
        )
    # From before there is a session: what ended covsup now would leave it behind.
    mask = signals.block()
    try:
        outer = enclosing_session(settings.data_file)
        session = open_session(
            settings,
            command=target.words,
            supervisor_pid=os.getpid(),
            within="" if outer is None else outer.id,
        )
    except BaseException:
        signals.unblock(mask)
        raise
    enclosing = None if outer is None else announce(outer, session)
    if settings.for_pytest:
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
    """The packages with plugins that the target's interpreter must have."""
    if not settings.plugins:
        return ()
    from covsup.supervisor.settings.plugins import installed  # noqa: PLC0415 - it imports coverage.py

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
    session: Session, settings: RunSettings, target: Target, carrier: Path | None, mask: set[int]
) -> Supervision:
    """From before the start to the end of the grace; signals are the target's all that time.

    The caller has blocked them; the target's mask is `mask`. Raises UsageError if it did not start.
    """
    # In this order: the witness is small while little is imported.
    witness = _witness(target) if linux.HAS_PROC else None
    try:
        if not settings.leave_orphans:
            linux.adopt_orphans()
        environment = launch.environment_for_target(session.path, carrier)
        if witness is not None:
            # What went to the group until now, the target does not have.
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
    """Have as many as we may: one is held per process of the tree. The target has started.

    macOS gives a hard limit without bounds, and refuses it as a soft one; what it takes is at least
    OPEN_MAX. Where nothing is taken, fewer processes have a descriptor.
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
        """`target` is its pid. It runs, so nothing may be raised from here on."""
        self.status = 0  # the target's raw wait status, once it has ended
        self.early_imports = EarlyImports(settings)
        self._session = session
        self._settings = settings
        self._target = target
        self._witness = witness
        self._has_ended = False
        self._began = time.monotonic()
        self._watcher: Watcher | None = None
        self._reporter = Reporter(session.path, target) if settings.for_pytest else None
        self._reporting = 0  # the pid of a fork of ours that reports
        self._watch_error = ""  # what failed first in watching

    def run(self) -> None:
        """Wait for the target, then for what it left."""
        self._watch_safely(self._start_watching)
        while not self._has_ended:
            self._step()
        self._grace()
        if self._reporting:
            # pytest does not wait for it any longer.
            os.kill(self._reporting, signal.SIGKILL)
            os.waitpid(self._reporting, 0)
        if self._watcher is not None:
            self._watch_safely(self._watcher.finish)

    def finish_watching(self) -> str:
        """After the end: say of each Python that was not measured why; gives what went wrong."""
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
        """Do something that the target's life and status may not depend on; whether it worked."""
        try:
            step()
        except Exception as error:  # noqa: BLE001 - said at the end
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
        answer = interpreter.ask(program, ())
        if answer is None:
            return ""
        return interpreter.why_not(program, answer, uses_carrier=self._settings.carrier)

    def _step(self) -> Received | None:
        """Until the next signal or the next scan; the signal, if it was for nobody else."""
        watcher = self._watcher
        received = signals.receive(_UNWATCHED_POLL_SECONDS if watcher is None else watcher.interval)
        if received is None:
            self._reap()
            self._scan()
            # pytest is no short one, and wants its report as soon as the tests have run.
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
            # Before we scan for children, and perhaps stop with the target: whether a signal went
            # to the whole group can be told only now.
            if not for_us and signals.is_for_target(received, self._witness, self._is_child):
                signals.forward(received.number, self._target)
        self._reap()
        if watcher is not None and watcher.is_due:
            # Signals without end may not keep us from looking.
            self._scan()
        return received if for_us else None

    def _report(self) -> None:
        """Answer pytest, if it asks for its report."""
        if self._reporter is None or self._reporting or not self._reporter.is_asked():
            return
        # A fork while another thread imports would have that import's lock for ever.
        if self.early_imports.wait_at_most(_IMPORT_WAIT_SECONDS):
            self._reporting = self._reporter.answer()
            if self._reporting and self._watcher is not None:
                self._watcher.ignore_child(self._reporting)

    def _grace(self) -> None:
        """Wait for stragglers that may execute Python; a signal that asks us to end ends it."""
        began = time.monotonic()
        until = began + self._settings.grace
        announced = not self._settings.announce
        self._scan()
        while self._watcher is not None and (now := time.monotonic()) < until:
            waiting = self._watcher.may_run_python()
            if not waiting:
                # What ended during that scan may have started another process before.
                if self._watcher.saw_no_change or not self._scan():
                    return
                continue
            if not announced and now - began > _STARTUP_SECONDS:
                announced = True
                self._announce(waiting)
            received = self._step()
            if received is not None and signals.is_end_signal(received):
                return

    def _announce(self, waiting: Sequence[Watched]) -> None:
        named = first_few(
            [process(each.pid, each.program.argv if each.program else ()) for each in waiting]
        )
        noun = "process" if len(waiting) == 1 else "processes"
        print_message(
            f"waiting up to {self._settings.grace:g} s for what the target left: {noun} {named};"
            " Ctrl-C ends the wait"
        )

    def _reap(self) -> None:
        """Wait for every child that has ended, and follow the target when it stops."""
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
                # Somebody killed it: what went to the group is guessed from now on.
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
            # What became of it meanwhile is an event of its own: it may even be stopped again.
            pid, status = os.waitpid(self._target, os.WNOHANG | os.WUNTRACED | os.WCONTINUED)
            if pid == 0 and was_continued:
                # Somebody continued us alone.
                signals.forward(signal.SIGCONT, self._target)
            if pid and os.WIFCONTINUED(status):
                pid, status = os.waitpid(self._target, os.WNOHANG | os.WUNTRACED)
        if pid:
            # It ended after the other children were waited for.
            self._record_end(pid, status)
