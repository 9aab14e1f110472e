"""The command line. What a command needs is imported when it is asked for: --help is quick."""

from __future__ import annotations

import argparse
import gc
import math
import os
import signal
import sys
import warnings
from functools import partial

from covsup import __version__
from covsup.datafile.errors import CovsupError
from covsup.hints import TYPE_CHECKING
from covsup.supervisor.combining.gc_pause import gc_disabled
from covsup.supervisor.errors import NOT_STORED, USAGE, UsageError
from covsup.supervisor.messages import print_message

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any, Final, NoReturn


ANSWER_PYTEST: Final = "--answer-pytest"
"""What covsup's pytest plugin asks for, and nobody else."""

REPORTS: Final = {
    "report": "print a table of what was covered",
    "html": "write a page for each source file",
    "xml": "write a Cobertura XML file",
    "json": "write a JSON file",
    "lcov": "write an LCOV tracefile",
    "annotate": "write copies of the sources with a mark on each line",
}
COMMANDS: Final = (
    "run", "combine", "env", *REPORTS, "tree", "erase", "debug", "help", "version",
)  # fmt: skip
_RUN_STATUS: Final = """\
exit status:
  that of TARGET; if a signal ended TARGET, the same signal ends covsup (as PID 1: 128 + signal).
  2  nothing was run: the command line, the settings, the target or its interpreter are wrong
  2  TARGET succeeded, but the total is below --fail-under
  3  TARGET succeeded, but --strict found something unmeasured, unreadable or lost
  1  TARGET succeeded, but the data file could not be written; `covsup combine` can do it later

TARGET is run in a process of its own as it would be without covsup: by this Python, with the
options that this Python was started with, or, for a command, as it is. Every Python below it
is measured, whoever started it.
"""


class Help(argparse.RawDescriptionHelpFormatter):
    """Help as wide as the terminal. argparse makes a formatter for each option that is added, and
    would import shutil for its width."""

    def __init__(self, prog: str, **options: Any) -> None:
        """`options` are those of argparse's formatter."""
        super().__init__(prog, **{"width": _columns() - 2, **options})

    if sys.version_info[:2] == (3, 14):
        # There, what colours need (inspect, of all things) is imported for the first option that is
        # added; on 3.15 when there is something to print, and so here.

        def _set_color(self, *arguments: Any, **options: Any) -> None:
            for name in ("_theme", "_decolor"):
                self.__dict__.pop(name, None)
            self._set_color_now = partial(super()._set_color, *arguments, **options)

        def __getattr__(self, name: str) -> Any:  # noqa: D105
            if name not in {"_theme", "_decolor"}:
                raise AttributeError(name)
            self._set_color_now()
            return self.__dict__[name]


def _columns() -> int:
    """The width of the terminal, as shutil has it."""
    named = os.environ.get("COLUMNS", "")
    if named.isascii() and named.isdigit() and int(named):
        return int(named)
    try:
        return os.get_terminal_size(sys.__stdout__.fileno()).columns or 80  # type: ignore[union-attr]
    except (AttributeError, ValueError, OSError):
        return 80


_RUN: Final[Mapping[str, Any]] = {
    "usage": "covsup run [options] [--] TARGET\n\n"
    "  covsup run script.py [args]     a script, a directory or an archive with a __main__\n"
    "  covsup run -m module [args]     a module, as python -m\n"
    "  covsup run command [args]       any command: gunicorn app:app, bash start.sh, make test",
    "description": "Run TARGET, measure every Python process that comes of it, and combine what they"
    "\nexecuted into one data file. Without TARGET: what command_line in coverage.py's\nsettings"
    " says.",
    "epilog": _RUN_STATUS,
    "formatter_class": Help,
    "allow_abbrev": False,
}
_ENV_EXAMPLES: Final = """\
examples:
  eval "$(covsup env --branch --source=src)"        in sh, bash, zsh
  covsup env --shell=fish | source                  in fish
  eval "docker run $(covsup env --shell=docker) image"
  covsup env --user=www-data --shell=systemd >/etc/my-service.env
"""


class Parser(argparse.ArgumentParser):
    """An ArgumentParser whose errors are one line."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        """As argparse's; what was parsed names the parser of the command."""
        super().__init__(*arguments, **options)
        self.set_defaults(parser=self)

    def error(self, message: str) -> NoReturn:  # type: ignore[explicit-override] # 3.12 has it
        """Say what is wrong and end with status 2."""
        print_message(f"{message} (see `{self.prog} --help`)")
        sys.exit(USAGE)

    def parse_args(self, words: Sequence[str], _: None = None) -> argparse.Namespace:  # type: ignore[explicit-override, override]
        """As argparse does; an unknown option is answered with the did_you_mean."""
        options, unknown = self.parse_known_args(words)
        if unknown:
            self.refuse(unknown, getattr(options, "parser", self))
        return options

    def refuse(self, unknown: Sequence[str], parser: argparse.ArgumentParser) -> NoReturn:
        """Say that there are no such options, or arguments, of `parser`."""
        word = unknown[0].partition("=")[0]
        if not word.startswith("-") or word == "-":
            parser.error(f"unrecognized arguments: {' '.join(unknown)}")
        from covsup.supervisor.settings.compatibility import did_you_mean  # noqa: PLC0415 - only for a mistake

        known = [
            option
            for action in parser._actions  # noqa: SLF001 - there is no other way to ask
            if action.help != argparse.SUPPRESS
            for option in action.option_strings
        ]
        if word in known:
            parser.error(f"{word} goes behind the command: {parser.prog} {word} ...")
        near = did_you_mean(word, [each for each in known if each.startswith("--")], prefix="--")
        parser.error(f"there is no option {word}{near}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command of covsup and give its exit status; `run` does not return."""
    # Warnings that the user asked for (-W error) are asked of the target, not of our libraries.
    warnings.simplefilter("ignore")
    if "coverage" in sys.modules:
        _keep_out_of_coverage()
    words = list(sys.argv[1:] if arguments is None else arguments)
    refused = USAGE if words[:1] == ["run"] else NOT_STORED
    try:
        try:
            return _main(words)
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()
            # What there is goes with the process: no search for cycles in it first.
            gc.freeze()
    except UsageError as error:
        print_message(str(error))
        return USAGE
    except (CovsupError, ImportError) as error:
        # An ImportError: a broken installation, or a module of the user's in the place of ours.
        broken = isinstance(error, ImportError)
        print_message(
            f"covsup cannot be run by {sys.executable}: {error}" if broken else str(error)
        )
        return refused
    except BrokenPipeError:
        # Whoever read our output has gone; nothing more can be said to them, at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return NOT_STORED
    except OSError as error:
        # A file that cannot be read, a directory that is gone: the system's words say enough.
        where = error.filename or "the current directory"
        print_message(f"{where}: {error.strerror}" if error.strerror else str(error))
        return refused
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
        return 128 + signal.SIGINT


def _keep_out_of_coverage() -> None:
    """Where coverage.py's own startup file measures us: make an object of its own by hand, which
    tells it not to keep what it started by itself."""
    from coverage import Coverage  # noqa: PLC0415 - it is there already

    Coverage(data_file=None, config_file=False)


def _main(words: list[str]) -> int:  # noqa: PLR0911 - one per command
    words = _in_full(words)
    if words and words[0] in REPORTS:
        from covsup.supervisor.commands.report import report  # noqa: PLC0415

        return report(words)
    if words == [ANSWER_PYTEST]:
        with gc_disabled():
            from covsup.supervisor.commands.pytest_report import main as answer_pytest  # noqa: PLC0415

            return answer_pytest()
    if words[:1] == ["run"]:
        with gc_disabled():
            run_parser = make_run_parser()
            own, target = split_target(run_parser, words[1:])
            if own[-1:] == ["-c"]:
                raise UsageError(
                    "-c is an option of Python's, not of run's; to measure code:"
                    " covsup run -- python -c CODE"
                )
            run_options = run_parser.parse_args(own)
            if run_options.for_pytest:
                run_options = run_parser.parse_args([*own, *_options_of_pytest(target)])
            from covsup.supervisor.launch.supervise import run  # noqa: PLC0415
        run(run_options, target)
    parser = make_parser()
    options = parser.parse_args(words)
    match options.command:
        case "env":
            from covsup.supervisor.sessions.open_sessions import env  # noqa: PLC0415

            return env(options)
        case "combine":
            with gc_disabled():
                from covsup.supervisor.commands.combine import combine  # noqa: PLC0415

                return combine(options)
        case "erase":
            from covsup.supervisor.commands.combine import erase  # noqa: PLC0415

            return erase(options)
        case "tree":
            from covsup.supervisor.tree.show import tree  # noqa: PLC0415

            return tree(options)
        case "debug":
            from covsup.supervisor.commands.debug_system import debug  # noqa: PLC0415

            return debug(options)
        case _:
            parser.print_help()
            return 0


def _options_of_pytest(target: list[str]) -> list[str]:
    """What the pytest asks for that was restarted to be the target; if it is nothing, become it."""
    from covsup.supervisor.settings.pytest_options import options_for_run  # noqa: PLC0415

    options = options_for_run(target)
    if options is None:
        os.execv(target[0], target)
    return options


def _in_full(words: list[str]) -> list[str]:
    """Other ways to ask for help or the version, as options. Raises UsageError."""
    match words:
        case ["help"] | ["help", "help" | "version", *_]:
            return ["--help"]
        case ["help", command, *_]:
            _check_command(command)
            return [command, "--help"]
        case ["version" | "-V", *_]:
            return ["--version"]
        case [command, *_] if not command.startswith("-") and command != ANSWER_PYTEST:
            _check_command(command)
    return words


def _check_command(word: str) -> None:
    if word in COMMANDS:
        return
    from covsup.supervisor.settings.compatibility import did_you_mean_or_all  # noqa: PLC0415 - only for a mistake

    if os.path.exists(word):  # noqa: PTH110 - a word of the command line, kept as it is
        raise UsageError(f"there is no command {word}; to measure it: covsup run {word}")
    raise UsageError(f"there is no command {word}{did_you_mean_or_all(word, COMMANDS)}")


def split_target(
    parser: argparse.ArgumentParser, words: Sequence[str]
) -> tuple[list[str], list[str]]:
    """Where covsup's own options end and the target begins.

    The target's words may look like our options, so they are never shown to argparse.
    """
    takes_value = {
        name
        for action in parser._actions  # noqa: SLF001 - there is no other way to ask
        if action.nargs is None
        for name in action.option_strings
    }
    index = 0
    while index < len(words):
        word = words[index]
        if word == "--":
            return list(words[:index]), list(words[index + 1 :])
        if word == "--module":
            return list(words[:index]), ["-m", *words[index + 1 :]]
        if not word.startswith("-") or word == "-" or word.startswith("-m"):
            break
        index += 2 if word in takes_value else 1
    return list(words[:index]), list(words[index:])


def make_run_parser() -> argparse.ArgumentParser:
    """The parser of `run`'s own options, without what a program's start would have to wait for."""
    parser = Parser(prog="covsup run", **_RUN)
    _add_run_options(parser)
    return parser


def make_parser() -> argparse.ArgumentParser:
    """The parser of every command."""
    parser = Parser(
        prog="covsup",
        description="Coverage of a whole process tree: threads, greenlets, forks, execs and"
        " violent ends included.",
        epilog="`covsup COMMAND --help`, or `covsup help COMMAND`, tells more about a command.",
        allow_abbrev=False,
    )
    parser.add_argument("-V", "--version", action="version", version=f"covsup {__version__}")
    commands = parser.add_subparsers(
        title="commands", dest="command", metavar="COMMAND", parser_class=Parser
    )
    run = commands.add_parser(
        "run", help="run a program and measure it and every Python that it starts", **_RUN
    )
    _add_run_options(run)
    _add_combine(commands)
    _add_env(commands)
    for name, text in REPORTS.items():
        commands.add_parser(name, help=f"{text} (coverage.py's options)", add_help=False)
    _add_tree(commands)
    _add_erase(commands)
    _add_debug(commands)
    return parser


def _add_measured(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """What holds for every process of a session; gives the group for more of how."""
    what = parser.add_argument_group("what is measured")
    what.add_argument(
        "--branch", action="store_true", help="measure branches as well as lines"
    )  # fmt: skip
    what.add_argument(
        "--source",
        action="append",
        metavar="DIR|PKG|FILE,...",
        help="measure only these directories, packages and files; those that never run count too",
    )
    what.add_argument(
        "--include", action="append", metavar="PATTERN,...", help="measure only files that match"
    )
    what.add_argument(
        "--omit", action="append", metavar="PATTERN,...", help="leave out files that match"
    )
    what.add_argument(
        "-L", "--pylib", action="store_true", help="measure the standard library as well"
    )
    what.add_argument(
        "--context", metavar="LABEL", help="record everything under this label (static context)"
    )
    what.add_argument(
        "--dynamic-context",
        action="append",
        metavar="LIST",
        help="record also under what is current: test_function, test (pytest), process, thread,"
        " greenlet, task, request (WSGI and ASGI). Several nest",
    )
    how = parser.add_argument_group("how")
    how.add_argument(
        "--concurrency",
        action="append",
        metavar="LIST",
        help="arm only these adapters: thread, multiprocessing, gevent, eventlet, greenlet, asyncio,"
        " fork, exec, spawn, exit. Default: auto, which arms each when its library is imported."
        " A library named here has to be installed",
    )
    how.add_argument(
        "--core",
        metavar="CORE",
        help="where events come from: monitoring (Python 3.12 and later), settrace, or auto (the"
        " default: monitoring where available). settrace-fast: on 3.11 settrace without the events of"
        " code that has nothing left to tell, which is faster, but not quite as the program runs"
        " without covsup (docs/concurrency.md); elsewhere as auto",
    )
    how.add_argument(
        "--carrier",
        action="store_true",
        help="preload a small library into every program of the tree (LD_PRELOAD), which takes the"
        " session through what scrubs environments, and measures Pythons that look for no startup"
        " file (-S) or have no covsup of their own (Linux)",
    )
    return how


def _add_run_options(parser: argparse.ArgumentParser) -> None:
    how = _add_measured(parser)
    how.add_argument(
        "--leave-orphans",
        action="store_true",
        help="do not become the parent of processes that lose theirs: an orphan then sees PID 1 as"
        " its parent, but how it ends may stay unknown (Linux)",
    )
    how.add_argument(
        "--grace",
        type=_seconds,
        metavar="SECONDS",
        help="after the target's end wait so long for processes that it left (default 5); Ctrl-C"
        " cuts it short. What still runs then is measured on: `covsup combine` collects it later",
    )
    result = parser.add_argument_group("the result")
    _add_files(result)
    result.add_argument(
        "-a", "--append", action="store_true", help="add to the data file; do not replace it"
    )
    result.add_argument(
        "-p",
        "--parallel-mode",
        action="store_true",
        help="leave everything in the session directory for `covsup combine`",
    )
    result.add_argument(
        "--fail-under",
        type=_percent,
        metavar="MIN",
        help="end with status 2 if the target succeeded and the total is below MIN percent",
    )
    result.add_argument(
        "--strict",
        action="store_true",
        help="end with status 3 if the target succeeded, but a Python process was not measured, or"
        " something is unreadable or lost",
    )
    # What a pytest asks for that was restarted by the startup file.
    parser.add_argument("--for-pytest", action="store_true", help=argparse.SUPPRESS)
    result.add_argument(
        "-q",
        "--quiet",
        action="store_true",
        help="say only what went wrong, on a terminal too: not what was measured, nor what is waited"
        " for",
    )
    # Options of `coverage run` that have no meaning here, so that what to do can be said.
    parser.add_argument("--timid", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--save-signal", help=argparse.SUPPRESS)
    parser.add_argument("--debug", help=argparse.SUPPRESS)


def _add_combine(commands: argparse._SubParsersAction[Parser]) -> None:
    parser = commands.add_parser(
        "combine",
        help="combine what earlier, interrupted or still running sessions left",
        description="Combine sessions into the data file, and delete what was combined. Journals of"
        " processes that still run are read as far as they go, and stay.",
        epilog="exit status: 0; 1 if there is nothing to combine, something could not be read or"
        " written (then nothing was deleted that is not in the data file), or lines met branches"
        " and a session was set aside in a data file of its own",
        allow_abbrev=False,
    )
    parser.add_argument(
        "paths",
        nargs="*",
        metavar="PATH",
        help="session directories, directories of such, journals, data files of covsup and"
        " coverage.py, in any mix. Default: every session of the data file beside it, and coverage.py's"
        " parallel data files there",
    )
    _add_files(parser)
    parser.add_argument(
        "-a", "--append", action="store_true", help="add to the data file; do not replace it"
    )
    parser.add_argument(
        "--keep", action="store_true", help="delete nothing: a snapshot, also of what still runs"
    )
    _add_assume_ended(parser)
    parser.add_argument("-q", "--quiet", action="store_true", help="say only what went wrong")
    # Of covsup.embed.snapshot(): where settings files are looked for and relative paths begin.
    parser.add_argument("--directory", help=argparse.SUPPRESS)


def _add_env(commands: argparse._SubParsersAction[Parser]) -> None:
    parser = commands.add_parser(
        "env",
        help="open a session for Pythons that somebody else starts; prints what to export",
        usage='eval "$(covsup env [options])"',
        description="Open a session without starting anything, and print what puts it into an\n"
        "environment. Every Python that starts with it is measured. `covsup combine`\n"
        "collects at any time, as often as you like; the session stays open until\n"
        "`covsup env --close`.",
        epilog=_ENV_EXAMPLES,
        formatter_class=Help,
        allow_abbrev=False,
    )
    _add_measured(parser)
    result = parser.add_argument_group("the session")
    _add_files(result)
    result.add_argument(
        "-a",
        "--append",
        action="store_true",
        help="add to the data file when the session is first combined; do not replace it",
    )
    result.add_argument(
        "--user",
        action="append",
        metavar="NAME|UID,...",
        help="let processes of these users take part: services that run as somebody else",
    )
    result.add_argument(
        "--shell",
        metavar="FORM",
        default="sh",
        help="what to print: sh (the default; also bash, zsh, dash, ksh), fish, csh, powershell,"
        " json, docker (options of `docker run`), env-file (docker's --env-file, a CI's), systemd"
        " (an EnvironmentFile), path (the session directory alone)",
    )
    result.add_argument(
        "--close",
        action="store_true",
        help="open none, but end the one that COVSUP_SESSION names, or else every open one of the"
        " data file, and print what takes it out of the environment; the next `covsup combine`"
        " collects and deletes it",
    )
    result.add_argument(
        "--reuse",
        action="store_true",
        help="give the open session of the data file that measures the same, if there is one: for"
        " what starts again and again, such as a line of a crontab",
    )
    result.add_argument(
        "--list", action="store_true", help="open none, but show the open sessions of the data file"
    )
    result.add_argument("--json", action="store_true", help="with --list: as JSON")
    # What only `run` can do.
    parser.set_defaults(
        grace=None,
        strict=False,
        fail_under=None,
        leave_orphans=False,
        parallel_mode=False,
        quiet=True,
    )


def _add_tree(commands: argparse._SubParsersAction[Parser]) -> None:
    parser = commands.add_parser(
        "tree",
        help="show the processes of the last session: who started whom, how each ended",
        description="Show every process of the last session: how it was started (fork, spawn, exec"
        " generation), its command line, when it began and how long it ran, how it ended, how many"
        " lines it executed, and how many of them no other process did. Python processes that were not measured stand out, with the reason.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "path",
        nargs="?",
        metavar="SESSION|FILE",
        help="a session directory that was not combined yet, or a data file. Default: the newest"
        " session, combined or not",
    )
    _add_files(parser)
    parser.add_argument(
        "--all", action="store_true", help="every session in the data file, not the last one only"
    )
    parser.add_argument(
        "--json", action="store_true", help="print all that is known of each process, as JSON"
    )


def _add_erase(commands: argparse._SubParsersAction[Parser]) -> None:
    parser = commands.add_parser(
        "erase",
        help="delete the data file and the sessions beside it",
        description="Delete the data file, coverage.py's parallel ones and the sessions beside it."
        " A session of which a process still runs is left alone.",
        allow_abbrev=False,
    )
    _add_files(parser)
    _add_assume_ended(parser)


def _add_assume_ended(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--assume-ended",
        action="store_true",
        help="processes on other machines and in containers, which cannot be asked, have ended",
    )


def _add_debug(commands: argparse._SubParsersAction[Parser]) -> None:
    parser = commands.add_parser("debug", help="show what covsup sees", allow_abbrev=False)
    topics = parser.add_subparsers(
        dest="topic", metavar="TOPIC", required=True, parser_class=Parser
    )
    _add_files(topics.add_parser("sys", help="versions, paths, what this system offers"))
    _add_files(topics.add_parser("config", help="the settings that `covsup run` would have here"))
    migrate = topics.add_parser(
        "migrate",
        help="what to change for covsup in a project that uses coverage.py or pytest-cov",
        description="Read a project's settings, command lines (tox, nox, make, CI services, shells,"
        " Docker) and start-up snippets, and print what to write instead, or that there is nothing"
        " to change. No file is changed; the status is 0 whatever is found.",
        allow_abbrev=False,
    )
    migrate.add_argument("directory", nargs="?", default=".", metavar="DIRECTORY")
    migrate.add_argument(
        "--rcfile", metavar="FILE", help="coverage.py's settings file, where it has another name"
    )
    journal = topics.add_parser("journal", help="what is in a journal")
    journal.add_argument("file", metavar="FILE")
    journal.add_argument("--facts", action="store_true", help="list lines and branches too")


def _add_files(parser: argparse._ActionsContainer) -> None:
    parser.add_argument(
        "--data-file",
        metavar="FILE",
        help="the data file (default .coverage, or as coverage.py's settings or COVERAGE_FILE say)",
    )
    parser.add_argument(
        "--rcfile",
        metavar="FILE",
        help="coverage.py's settings file (default: its own search; empty: none)",
    )


def _seconds(text: str) -> float:
    seconds = _number(text)
    if not 0 <= seconds < 1e9:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds, such as 1.5")
    return seconds


def _percent(text: str) -> float:
    percent = _number(text)
    if not 0 <= percent <= 100:
        raise argparse.ArgumentTypeError(f"{text!r} is not a percentage between 0 and 100")
    return percent


def _number(text: str) -> float:
    """What is no number is in no range either."""
    try:
        return float(text)
    except ValueError:
        return math.nan
