"""`covsup combine`: bring what sessions and data files hold into one data file."""

from __future__ import annotations

import argparse
import os
import sys

from covsup.hints import TYPE_CHECKING
from covsup.supervisor.arguments import Parser, add_assume_ended, add_file_arguments
from covsup.supervisor.errors import NOT_STORED, UsageError
from covsup.supervisor.gc_pause import gc_disabled
from covsup.supervisor.messages import print_message

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from typing import Final

    from covsup.supervisor.combining.combine_result import CombineResult

_MIN_JOURNALS_FOR_PROGRESS: Final = 1000
"""Fewer journals are read before a user wonders whether anything happens."""

_WATCH_SECONDS: Final = 2

_REPORTS: Final = ("lcov", "xml", "json")
"""What --watch writes."""


def make_parser(prog: str = "covsup combine") -> Parser:
    """The parser of its arguments."""
    parser = Parser(
        prog=prog,
        description="Combine sessions into the data file, and delete what was combined. The data of"
        " processes that still run are taken as they are by now, and stay in their session.",
        epilog="exit status: 0; 1 if there is nothing to combine, if something could not be read or"
        " written (then only what is in the data file was deleted), or if a session measured"
        " branches and the data file holds lines, or the reverse, so that the session was put into"
        " a data file of its own",
    )
    parser.add_argument(
        "paths",
        nargs="*",
        metavar="PATH",
        help="session directories, directories that contain some, journals, data files of covsup"
        " and coverage.py, in any mix. Default: every session of the data file beside it, and"
        " coverage.py's parallel data files there",
    )
    add_file_arguments(parser)
    parser.add_argument(
        "-a", "--append", action="store_true", help="add to the data file instead of replacing it"
    )
    parser.add_argument(
        "--keep",
        action="store_true",
        help="delete nothing: make a snapshot, also of processes that still run",
    )
    parser.add_argument(
        "--watch",
        type=_seconds,
        metavar="SECONDS",
        help="with --keep: combine again whenever something new has run, and write lcov.info,"
        " coverage.xml and coverage.json beside the data file for editors. Looks every SECONDS"
        " (--watch alone: 2). Ends when the sessions have ended, or by Ctrl-C",
    )
    parser.add_argument(
        "--write",
        type=_reports,
        metavar="LIST",
        help="with --watch: the reports to write, of lcov, xml and json (default: all; empty: none)",
    )
    add_assume_ended(parser)
    parser.add_argument("-q", "--quiet", action="store_true", help="print errors and warnings only")
    # Given by covsup.embed.snapshot(): where to look for settings files, and what relative paths
    # are relative to.
    parser.add_argument("--directory", help=argparse.SUPPRESS)
    return parser


def _seconds(word: str) -> float:
    try:
        seconds = float(word)
    except ValueError:
        seconds = -1.0
    if not 0.1 <= seconds <= 86_400:  # also where it is no number at all
        raise argparse.ArgumentTypeError(f"{word}: SECONDS is a number from 0.1 to 86400")
    return seconds


def _reports(word: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(each.strip() for each in word.split(",") if each.strip()))
    for each in names:
        if each not in _REPORTS:
            raise argparse.ArgumentTypeError(f"{each}: LIST consists of {', '.join(_REPORTS)}")
    return names


def run(words: Sequence[str]) -> int:
    """Combine, and give the exit status. Raises CovsupError."""
    # A path may follow --watch: only --watch=SECONDS has a value.
    options = make_parser().parse_args(
        [f"--watch={_WATCH_SECONDS}" if word == "--watch" else word for word in words[1:]]
    )
    if options.watch is None:
        if options.write is not None:
            raise UsageError("--write goes with --watch")
        with gc_disabled():
            return _combine(options)
    if not options.keep:
        raise UsageError("--watch goes with --keep: what it combines stays in the sessions")
    return _watch(options)


def _watch(options: argparse.Namespace) -> int:
    from pathlib import Path

    from covsup.supervisor.combining.combine import combine
    from covsup.supervisor.combining.watch import Watch, watch
    from covsup.supervisor.settings.combine_settings import CombineSettings
    from covsup.supervisor.settings.coverage_settings import config_file_argument

    settings = CombineSettings.of_command(options.rcfile, options.data_file)
    settings.data_file.parent.mkdir(parents=True, exist_ok=True)
    paths = [Path(path) for path in options.paths]

    def combine_once() -> CombineResult:
        return combine(
            paths,
            combine_settings=settings,
            keep=True,
            append=options.append,
            assume_ended=options.assume_ended,
        )

    return watch(
        Watch(
            paths=paths,
            data_file=settings.data_file,
            seconds=options.watch,
            reports=_REPORTS if options.write is None else options.write,
            config_file=config_file_argument(options.rcfile),
            quiet=options.quiet,
            combine=combine_once,
        )
    )


def _combine(options: argparse.Namespace) -> int:
    from pathlib import Path

    from coverage.files import set_relative_directory

    from covsup.supervisor.combining.combine import combine
    from covsup.supervisor.combining.inputs import NoSession
    from covsup.supervisor.combining.locks import report_wait
    from covsup.supervisor.sessions.waiting_sessions import warn_if_session_is_gone
    from covsup.supervisor.settings.combine_settings import CombineSettings

    warn_if_session_is_gone()
    if options.directory is not None:
        os.chdir(options.directory)
        set_relative_directory()
    settings = CombineSettings.of_command(options.rcfile, options.data_file)
    if options.directory is None:
        settings.data_file.parent.mkdir(parents=True, exist_ok=True)  # as coverage.py does
    try:
        with _Progress() as progress:
            result = combine(
                [Path(path) for path in options.paths],
                combine_settings=settings,
                keep=options.keep,
                append=options.append,
                assume_ended=options.assume_ended,
                progress=progress.step,
                on_wait=report_wait,
            )
    except NoSession:
        # `run` combines by itself: a script that calls `combine` after it is right all the same.
        if not _has_combined_sessions(settings.data_file):
            raise
        if not options.quiet:
            sys.stdout.write(f"Nothing new to combine into {settings.data_file}\n")
        return 0
    _print_warnings(result)
    if result.has_no_data:
        print_message(f"nothing to combine: {result.data_file} is unchanged")
        return NOT_STORED
    if not options.quiet:
        sys.stdout.write(f"{_summary(result)}\n")
    is_mixed = any(each.is_new and each.is_mixed for each in result.aside)
    return NOT_STORED if result.unreadable or is_mixed else 0


def _print_warnings(result: CombineResult) -> None:
    """Print what could not be read or combined, was not measured, or was lost."""
    from covsup.supervisor.combining.losses import lost_sentences, unmeasured_sentences

    for sentence in result.sentences():
        print_message(sentence)
    for session in sorted({*result.sessions, *(each.session for each in result.aside)}):
        provenance = result.provenance_of(session)
        for sentence in (*unmeasured_sentences(provenance), *lost_sentences(provenance)):
            print_message(sentence)


def _has_combined_sessions(data_file: Path) -> bool:
    from covsup.datafile.database.database import is_data_file, read_provenance

    return is_data_file(data_file) and bool(read_provenance(data_file).sessions)


def _summary(result: CombineResult) -> str:
    processes = f"{result.processes} {'process' if result.processes == 1 else 'processes'}"
    data_files = f"{result.data_files} {'data file' if result.data_files == 1 else 'data files'}"
    combined = []
    if result.sessions:
        sessions = "1 session" if len(result.sessions) == 1 else f"{len(result.sessions)} sessions"
        combined.append(f"{sessions} ({processes})" if result.processes else sessions)
    elif result.processes:
        combined.append(processes)
    if result.data_files:
        combined.append(data_files)
    return f"Combined {' and '.join(combined) or 'nothing new'} into {result.data_file}"


class _Progress:
    """A bar on the terminal, for a combination that takes a while."""

    def __init__(self) -> None:
        self._bar: Callable[[int], None] | None = None
        self._stop: Callable[[], None] | None = None
        self._next = 0

    def __enter__(self) -> _Progress:
        return self

    def __exit__(self, *_: object) -> None:
        if self._stop is not None:
            self._stop()

    def step(self, done: int, total: int) -> None:
        """So many journals of all have been read."""
        if total < _MIN_JOURNALS_FOR_PROGRESS or done < self._next:
            return
        self._next = done + total // 200  # a bar has no more steps
        if self._bar is None and sys.stderr.isatty():
            self._begin(total)
        if self._bar is not None:
            self._bar(done)

    def _begin(self, total: int) -> None:
        from rich.console import Console
        from rich.progress import Progress

        progress = Progress(console=Console(stderr=True), transient=True)
        task = progress.add_task("reading journals", total=total)
        progress.start()
        self._bar = lambda done: progress.update(task, completed=done)
        self._stop = progress.stop
