"""`covsup debug`: what covsup sees, for whoever looks for a fault."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from covsup import __version__
from covsup.datafile.errors import CovsupError
from covsup.datafile.journal import reader as journals
from covsup.datafile.session.directory import find_sessions
from covsup.hints import TYPE_CHECKING, assert_never
from covsup.supervisor.cli import make_run_parser
from covsup.supervisor.errors import NOT_STORED
from covsup.supervisor.launch.interpreter import ask, startup_files
from covsup.supervisor.messages import print_message, printable
from covsup.supervisor.settings.run_settings import resolve_data_file, resolve_run_settings
from covsup.supervisor.watching import linux

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator

    from covsup.datafile.journal.reader import Event, Journal

_LIBRARIES = ("coverage", "psutil", "rich", "greenlet", "gevent", "eventlet")


def debug(options: argparse.Namespace) -> int:
    """Print one topic."""
    match options.topic:
        case "sys":
            _write(_system(options))
        case "config":
            _write(_config(options))
        case "migrate":
            from covsup.supervisor.migrate.report import migrate  # noqa: PLC0415 - seldom

            return migrate(Path(options.directory), options.rcfile)
        case _:
            return _journal(options)
    return 0


def _write(pairs: Iterable[tuple[str, object]]) -> None:
    lines = [(name, printable(str(value))) for name, value in pairs]
    width = max((len(name) for name, _ in lines), default=0)
    sys.stdout.write("".join(f"{name:>{width}}: {value}\n" for name, value in lines))


def _system(options: argparse.Namespace) -> Iterator[tuple[str, object]]:
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
    yield "ends of others' children", _knows_ends()
    yield "journals can grow in place", _kernel_at_least(5, 14)
    data_file = resolve_data_file(options.rcfile, options.data_file)
    yield "data file", f"{data_file} ({'there' if data_file.exists() else 'not there'})"
    for path in find_sessions(data_file):
        yield "session", path
    try:
        free = shutil.disk_usage(data_file.parent).free >> 20
        yield "free space there", f"{free} MiB"
    except OSError as error:
        yield "free space there", error.strerror
    for name, value in sorted(os.environ.items()):
        if name.startswith(("COVSUP_", "COVERAGE_", "PYTHON")):
            yield f"${name}", value


def _startup_elsewhere() -> str:
    """Whether a startup file is run though it is in no usual place."""
    answer = ask(sys.executable, ())
    if answer is not None and answer.starts_covsup:
        return "run from another environment, whose packages are added to this one's"
    return "MISSING: install covsup"


def _tracer() -> str:
    """Where the C module is: asked of a process of its own, as those that load it are."""
    code = "from covsup.tracer_c import _tracer; print(_tracer.__file__)"
    asked = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    if asked.returncode != 0:
        return f"CANNOT BE LOADED: {asked.stderr.strip().rpartition(chr(10))[2]}"
    return asked.stdout.strip()


def _knows_ends() -> str:
    pid = os.fork()
    if pid == 0:
        os._exit(7)
    pidfd = linux.open_pidfd(pid)
    os.waitpid(pid, 0)
    if pidfd is None:
        return "no pidfds: unknown unless their parent tells"
    known = linux.exit_status_of(pidfd)
    os.close(pidfd)
    return "known by pidfd" if known == 7 << 8 else "unknown unless their parent tells (Linux 6.15)"


def _kernel_at_least(major: int, minor: int) -> str:
    if sys.platform != "linux":
        return "no"
    numbers = platform.release().split("-", maxsplit=1)[0].split(".")
    try:
        return "yes" if tuple(map(int, numbers[:2])) >= (major, minor) else "no"
    except ValueError:
        return "unknown"


def _config(options: argparse.Namespace) -> Iterator[tuple[str, object]]:
    parser = make_run_parser()
    words = [
        f"--{name.replace('_', '-')}={value}"
        for name in ("data_file", "rcfile")
        if (value := getattr(options, name)) is not None
    ]
    for name, value in resolve_run_settings(parser.parse_args(words))._asdict().items():
        if name != "plugin_config":  # coverage.py's settings once more, for machines
            yield name, ", ".join(map(str, value)) if isinstance(value, tuple) else value


def _journal(options: argparse.Namespace) -> int:
    path = Path(options.file)
    try:
        journal = journals.read_journal(path)
        slots = journals.read_slots(path, journal.header)
    except CovsupError as error:
        print_message(str(error))
        return NOT_STORED
    _show(journal, facts=options.facts)
    for lodger in slots.journals:
        sys.stdout.write("\n")
        _show(lodger, facts=options.facts)
    problems = [
        *(
            f"{options.file}: {each}"
            for shown in (journal, *slots.journals)
            for each in shown.problems
        ),
        *slots.problems,
    ]
    for problem in problems:
        print_message(problem)
    return NOT_STORED if problems else 0


def _show(journal: Journal, *, facts: bool) -> None:
    _write(_header(journal))
    for event in journal.events:
        sys.stdout.write(f"{_time(event.at_ns)} {printable(_event(event))}\n")
    for file_id, file in sorted(journal.files.items()):
        lines = sum(len(found) for key, found in journal.lines.items() if key[0] == file_id)
        arcs = sum(len(found) for key, found in journal.arcs.items() if key[0] == file_id)
        sys.stdout.write(f"{printable(file.path)}: {lines} lines, {arcs} branches\n")
        if facts:
            for label, found in _facts(journal, file_id):
                sys.stdout.write(f"    {printable(label)}: {found}\n")


def _header(journal: Journal) -> Iterator[tuple[str, object]]:
    for name, value in journal.header._asdict().items():
        match name:
            case "start_realtime_ns":
                yield "started", _time(value)
            case "python_hexversion":
                yield "python", f"{value >> 24}.{value >> 16 & 255}.{value >> 8 & 255}"
            case "core" | "start_kind":
                yield name, value.name.lower()
            case "lost_errno" | "forks_lost_errno":
                yield name, f"{value} ({os.strerror(value)})" if value else 0
            case _:
                yield name, value
    for name, raw in sorted(journal.properties.items()):
        yield name, os.fsdecode(raw).replace("\0", " ")
    yield "contexts", len(journal.contexts)


def _facts(journal: Journal, file_id: int) -> Iterator[tuple[str, str]]:
    for (file, context), lines in sorted(journal.lines.items()):
        if file == file_id:
            label = journal.contexts.get(context, "") or "lines"
            yield label, " ".join(map(str, sorted(lines)))
    for (file, context), arcs in sorted(journal.arcs.items()):
        if file == file_id:
            label = journal.contexts.get(context, "") or "branches"
            yield label, " ".join(f"{begin}->{end}" for begin, end in sorted(arcs))


def _time(at_ns: int) -> str:
    return f"{datetime.fromtimestamp(at_ns / 1e9, UTC):%Y-%m-%d %H:%M:%S.%f}Z"


def _event(event: Event) -> str:
    match event:
        case journals.AboutToExec(path=path, argv=argv):
            said = f"about to exec {path}: {' '.join(argv)}"
        case journals.ExecFailed(errno=number):
            said = f"exec failed: {os.strerror(number)}"
        case journals.Spawned(pid=pid, argv=argv):
            said = f"spawned {pid}: {' '.join(argv)}"
        case journals.Unexecuted(pid=pid):
            said = f"{pid} could not execute that program"
        case journals.Reaped(pid=pid, status=status):
            said = f"reaped {pid}: wait status {status}"
        case journals.Ended(how=how, status=status):
            said = f"ended: {how.name.lower()}, status {status}"
        case journals.LibraryUsed(name=name, version=version):
            said = f"uses {name} {version}"
        case journals.UserTracer(text=text):
            said = f"a tracer of the program's own: {text}"
        case journals.Note(text=text):
            said = f"note: {text}"
        case _:
            assert_never(event)
    return said
