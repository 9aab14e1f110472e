"""A request to a running process: the script that it executes, and the answer that it writes.

The script is in a directory that the process may write to. A token beside it shows that covsup still
waits: the process deletes it before it does anything. So a request that was given up has no effect.
"""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

from covsup.carrier.preload_library import PACKAGE
from covsup.datafile.session.attach_answers import AttachAnswer
from covsup.datafile.session.text_files import replace_text
from covsup.hints import TYPE_CHECKING
from covsup.supervisor.attaching.refused import AttachRefused
from covsup.supervisor.attaching.remote_call import execute_in
from covsup.supervisor.attaching.running_python import memory_of
from covsup.supervisor.messages import print_message
from covsup.supervisor.watching import linux
from covsup.supervisor.watching.process_table import LinuxTable

if TYPE_CHECKING:
    from typing import Final, Literal

    from covsup.supervisor.attaching.running_python import RunningPython

_POLL_SECONDS: Final = 0.01
_QUIET_SECONDS: Final = 1.0
_MOST_OF_AN_ANSWER: Final = 1 << 16
_NOTHING: Final = "/dev/null"
"""The file that a process executes in place of a request that was given up."""

_RESEND_SECONDS: Final = 1.0

_SETTLE_SECONDS: Final = 0.1
"""How long the files of a request stay after it was given up: the process may be opening them."""

# It defines no function: then its variables die when it ends, and with them what blocks signals.
_SCRIPT: Final = """\
request = {request!r}
signals = held = blocked = interrupted = None
try:
    import posix
    import sys
    if posix.getpid() == request["pid"]:
        before = set(sys.modules)
        signals = sys.modules.get("_signal")
        if signals is not None:
            blocked = [int(each) for each in signals.pthread_sigmask(signals.SIG_BLOCK, [])]
            try:
                signals.pthread_sigmask(signals.SIG_BLOCK, signals.valid_signals())
            except BaseException as error:  # a handler of the program raised it just now
                interrupted = error
        import _frozen_importlib
        import _frozen_importlib_external
        import _imp
        version = f"python{{sys.version_info[0]}}.{{sys.version_info[1]}}"
        places = [
            *(f"{{base}}/{{sys.platlibdir}}/{{version}}/site-packages/covsup"
              for base in (sys.prefix, sys.exec_prefix)),
            *(f"{{entry}}/covsup" for entry in sys.path if type(entry) is str),
            request["covsup"],
        ] if "covsup" not in sys.modules else [*sys.modules["covsup"].__path__]
        places = [
            place for place in places
            if posix.access(f"{{place}}/attached.py", 4)
            and any(posix.access(f"{{place}}/tracer_c/_tracer{{suffix}}", 4)
                    for suffix in _imp.extension_suffixes())
        ]
        if not places:
            raise ImportError("no core for this Python")
        if "covsup" not in sys.modules:
            _frozen_importlib._load(_frozen_importlib_external.spec_from_file_location(
                "covsup", f"{{places[0]}}/__init__.py", submodule_search_locations=[places[0]]
            ))
        from covsup import attached
        held = attached.act(
            request, sys._getframe().f_back or sys._getframe(), blocked or [], interrupted
        )
        if "os" not in before:
            for name in [*sys.modules]:
                if name not in before and name.partition(".")[0] != "covsup":
                    del sys.modules[name]
except Exception as error:
    try:
        descriptor = posix.open(
            request["path"] + ".answer~", posix.O_WRONLY | posix.O_CREAT | posix.O_EXCL, 0o644
        )
        why = f"{{type(error).__name__}}: {{error}}".replace("%", " ").replace("\\n", " ")
        posix.write(descriptor, f"state=failed\\nwhy={{why}}\\n".encode("utf-8", "replace"))
        posix.close(descriptor)
        posix.rename(request["path"] + ".answer~", request["path"] + ".answer")
    except Exception:
        pass
except BaseException:
    pass  # a handler of the program raised it: covsup asks once more
if blocked is not None and held is None:
    try:
        signals.pthread_sigmask(signals.SIG_SETMASK, blocked)
    except Exception:
        pass
"""


class Request:
    """One request, from its files to its answer."""

    def __init__(
        self,
        process: RunningPython,
        wish: Literal["attach", "detach"],
        session: Path,
        *,
        carrier: Path | None = None,
    ) -> None:
        """Prepare a request to a process, which may write to the session directory."""
        self._process = process
        self._times_sent = 0
        place = session if process.uid == os.geteuid() else session / f"uid-{process.uid}"
        self._path = place / f"request-{os.urandom(6).hex()}"
        self._text = _SCRIPT.format(
            request={
                "wish": wish,
                "pid": process.inner_pid,
                "path": str(self._path),
                "session": str(session),
                "covsup": str(PACKAGE),
                "carrier": "" if carrier is None else str(carrier),
            }
        )

    def answer(self) -> AttachAnswer:
        """Send it and wait for the answer. Raises AttachRefused, OSError, KeyboardInterrupt."""
        script = self._file(".py")
        pidfd = linux.open_pidfd(self._process.pid)
        try:
            replace_text(script, self._text, mode=0o644)
            replace_text(self._file(".token"), "")
            _check_sight(self._process, script)
            self._send(script)
            return self._wait(pidfd, script)
        except KeyboardInterrupt:
            answered = self._give_up()
            if answered is None:
                raise
            return answered
        finally:
            if pidfd is not None:
                os.close(pidfd)
            self._withdraw()
            for suffix in (".py", ".token", ".answer", ".answer~"):
                self._file(suffix).unlink(missing_ok=True)

    def _file(self, suffix: str) -> Path:
        return self._path.with_name(self._path.name + suffix)

    def _send(self, script: Path) -> None:
        execute_in(self._process, script)
        self._times_sent += 1

    def _wait(self, pidfd: int | None, script: Path) -> AttachAnswer:
        began = sent = time.monotonic()
        announced = False
        while (answer := self._read()) is None:
            if (pidfd is not None and linux.has_ended(pidfd)) or (
                memory := memory_of(self._process.pid)
            ) is None:
                raise AttachRefused(f"process {self._process.name} ended before it answered")
            if memory != self._process.memory:
                raise AttachRefused(
                    f"process {self._process.name} has executed another program meanwhile: try again"
                )
            if not announced and time.monotonic() - began > _QUIET_SECONDS:
                announced = True
                print_message(
                    f"waiting for process {self._process.name}: its main thread"
                    f" {_what_it_does(self._process.pid)}; Ctrl-C gives up"
                )
            if time.monotonic() - sent > _RESEND_SECONDS and self._file(".token").exists():
                # An exception of a signal handler may have prevented that the script was read.
                with contextlib.suppress(AttachRefused):  # the next turn finds the reason
                    self._send(script)
                sent = time.monotonic()
            time.sleep(_POLL_SECONDS)
        return answer

    def _read(self) -> AttachAnswer | None:
        """The answer, if it is there."""
        try:
            descriptor = os.open(self._file(".answer"), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except FileNotFoundError:
            return None
        try:
            text = os.read(descriptor, _MOST_OF_AN_ANSWER).decode("utf-8", "surrogateescape")
        finally:
            os.close(descriptor)
        return AttachAnswer.from_text(text)

    def _give_up(self) -> AttachAnswer | None:
        """Let the request have no effect. If the process acts on it already, give its answer."""
        try:
            self._file(".token").unlink()
        except FileNotFoundError:
            until = time.monotonic() + _QUIET_SECONDS
            while (answer := self._read()) is None and time.monotonic() < until:
                time.sleep(_POLL_SECONDS)
            return answer
        return None

    def _withdraw(self) -> None:
        """See that the process does not execute the script once more: its file is about to go."""
        if self._times_sent > (1 if self._file(".answer").exists() else 0):
            try:
                execute_in(self._process, _NOTHING)
            except AttachRefused:
                return  # the process has ended
            time.sleep(_SETTLE_SECONDS)


def _check_sight(process: RunningPython, script: Path) -> None:
    """Raise AttachRefused if the process cannot read the script: Python would print an error there."""
    try:
        same = os.path.samestat(script.stat(), Path(f"/proc/{process.pid}/root{script}").stat())
    except OSError:
        same = False
    if not same:
        raise AttachRefused(
            f"process {process.name} does not see {script.parent}: it has other files (a container, a"
            " chroot, a private /tmp); run covsup in there, or name a --data-file that both see"
        )
    if process.uid != os.geteuid() and not _can_read(process, script):
        raise AttachRefused(
            f"user {process.uid} of process {process.name} cannot read {script.parent}: name a"
            " --data-file elsewhere, or run chmod o+x on the directories above it"
        )


def _can_read(process: RunningPython, path: Path) -> bool:
    """Whether the user of a process can read a file. Root alone asks that."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            os.setgroups(process.groups)
            os.setresgid(process.gid, process.gid, process.gid)
            os.setresuid(process.uid, process.uid, process.uid)
            os.close(os.open(path, os.O_RDONLY))
            status = 0
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def _what_it_does(pid: int) -> str:
    stat = LinuxTable().stat(pid)
    match "" if stat is None else stat.state:
        case "T" | "t":
            return "is stopped (SIGCONT continues it)"
        case "S" | "D" | "I":
            return "waits in a system call, and executes no Python until that returns"
        case _:
            return "executes C code, and no Python until that returns"
