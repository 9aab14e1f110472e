"""`covsup debug sys` and `covsup debug config`: this system, and the settings of a run here."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

from covsup import __version__
from covsup.datafile.session.places import find_sessions
from covsup.hints import TYPE_CHECKING
from covsup.supervisor.commands.run import make_parser
from covsup.supervisor.launch.interpreter import probe, startup_files
from covsup.supervisor.settings.resolved_settings import resolve_data_file, resolve_run_settings
from covsup.supervisor.watching import linux

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Final

_LIBRARIES: Final = ("coverage", "psutil", "rich", "greenlet", "gevent", "eventlet")


def system(rcfile: str | None, data_file: str | None) -> Iterator[tuple[str, object]]:
    """What `debug sys` shows: names and values. Raises UsageError."""
    yield "covsup", f"{__version__} in {Path(__file__).parents[2]}"
    yield "python", f"{sys.version.split()[0]} {sys.implementation.name} at {sys.executable}"
    yield "system", platform.platform()
    yield "started as", " ".join(sys.orig_argv)
    yield "startup files", ", ".join(map(str, startup_files())) or _startup_elsewhere()
    yield "tracer", _tracer()
    yield (
        "cores",
        "monitoring, settrace" if hasattr(sys, "monitoring") else "settrace, settrace-fast",
    )
    for name in _LIBRARIES:
        try:
            yield name, metadata.version(name)
        except metadata.PackageNotFoundError:
            yield name, "not installed"
    yield "exit statuses of grandchildren", _knows_exit_statuses()
    yield "journals can grow in place", _kernel_at_least(5, 14)
    path = resolve_data_file(rcfile, data_file)
    yield "data file", f"{path} ({'there' if path.exists() else 'not there'})"
    for session in find_sessions(path):
        yield "session", session
    try:
        free = shutil.disk_usage(path.parent).free >> 20
        yield "free space there", f"{free} MiB"
    except OSError as error:
        yield "free space there", error.strerror
    for name, value in sorted(os.environ.items()):
        if name.startswith(("COVSUP_", "COVERAGE_", "PYTHON")):
            yield f"${name}", value


def _startup_elsewhere() -> str:
    """What to show if no startup file is in a usual place: another one may run all the same."""
    answer = probe(sys.executable, ())
    if answer is not None and answer.starts_covsup:
        return "in another environment, whose packages are added to this one's"
    return "MISSING: install covsup"


def _tracer() -> str:
    """The file of the C module, from another process: covsup's own never loads it."""
    code = "from covsup.tracer_c import _tracer; print(_tracer.__file__)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    if loaded.returncode != 0:
        return f"CANNOT BE LOADED: {loaded.stderr.strip().rpartition(chr(10))[2]}"
    return loaded.stdout.strip()


def _knows_exit_statuses() -> str:
    pid = os.fork()
    if pid == 0:
        os._exit(7)
    pidfd = linux.open_pidfd(pid)
    os.waitpid(pid, 0)
    if pidfd is None:
        return "unknown unless their parent is measured (no pidfds)"
    known = linux.exit_status_of(pidfd)
    os.close(pidfd)
    if known == 7 << 8:
        return "known by pidfd"
    return "unknown unless their parent is measured (Linux before 6.15)"


def _kernel_at_least(major: int, minor: int) -> str:
    if sys.platform != "linux":
        return "no"
    numbers = platform.release().split("-", maxsplit=1)[0].split(".")
    try:
        return "yes" if tuple(map(int, numbers[:2])) >= (major, minor) else "no"
    except ValueError:
        return "unknown"


def settings(rcfile: str | None, data_file: str | None) -> Iterator[tuple[str, object]]:
    """What `debug config` shows: the settings that `covsup run` would have. Raises UsageError."""
    options = make_parser().parse_args([])
    options.rcfile, options.data_file = rcfile, data_file
    for name, value in resolve_run_settings(options)._asdict().items():
        if name != "plugin_config":  # all of coverage.py's settings, serialized for plugins
            yield name, ", ".join(map(str, value)) if isinstance(value, tuple) else value
