"""`covsup run`: its arguments, and where they end and the target begins."""

from __future__ import annotations

import argparse
import os

from covsup.hints import TYPE_CHECKING
from covsup.supervisor.arguments import (
    Help,
    Parser,
    add_file_arguments,
    add_measurement_arguments,
)
from covsup.supervisor.errors import UsageError
from covsup.supervisor.gc_pause import gc_disabled

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Final, NoReturn

_USAGE: Final = """\
covsup run [options] [--] TARGET

  covsup run script.py [args]     a script, a directory or an archive with a
                                  __main__
  covsup run -m module [args]     a module, as python -m
  covsup run command [args]       any command: gunicorn app:app, make test"""
_DESCRIPTION: Final = """\
Run TARGET, measure every Python process that it starts, and combine the results
into one data file. Without TARGET, run command_line of coverage.py's settings."""
_EPILOG: Final = """\
exit status:
  TARGET's. If a signal ended TARGET, the same signal ends covsup (as PID 1:
  128 + its number).
  2  nothing was run: the command line, the settings, TARGET or its interpreter
     are wrong
  2  TARGET succeeded, but the total is below --fail-under
  3  TARGET succeeded, but --strict found something unmeasured, unreadable or
     lost
  1  TARGET succeeded, but the data file could not be written; `covsup combine`
     can write it later

TARGET runs in a process of its own, as it would without covsup. A command runs
as it is. A script or module runs in the Python that runs covsup, with the
options that this Python was started with.
"""


def make_parser(prog: str = "covsup run") -> Parser:
    """The parser of the words before TARGET."""
    parser = Parser(
        prog=prog,
        usage=_USAGE,
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=Help,
    )
    how = add_measurement_arguments(parser)
    how.add_argument(
        "--leave-orphans",
        action="store_true",
        help="do not adopt processes that lose their parent: an orphan then has PID 1 as its"
        " parent, as without covsup, but how it ends may stay unknown (Linux)",
    )
    how.add_argument(
        "--grace",
        type=_seconds,
        metavar="SECONDS",
        help="seconds to wait, after the target exits, for processes that it left behind"
        " (default: 5). Ctrl-C ends the wait. Processes that still run are measured on, and"
        " `covsup combine` collects their data later",
    )
    result = parser.add_argument_group("the result")
    add_file_arguments(result)
    result.add_argument(
        "-a", "--append", action="store_true", help="add to the data file instead of replacing it"
    )
    result.add_argument(
        "-p",
        "--parallel-mode",
        action="store_true",
        help="do not combine: leave everything in the session directory for `covsup combine`",
    )
    result.add_argument(
        "--fail-under",
        type=_percent,
        metavar="MIN",
        help="exit with status 2 if the target succeeded and the total is below MIN percent",
    )
    result.add_argument(
        "--strict",
        action="store_true",
        help="exit with status 3 if the target succeeded, but a Python process was not measured, or"
        " something is unreadable or lost",
    )
    result.add_argument(
        "-q",
        "--quiet",
        action="store_true",
        help="print errors and warnings only: on a terminal, neither what was measured nor what"
        " covsup waits for",
    )
    # Given where the startup file has restarted a pytest as the target.
    parser.add_argument("--for-pytest", action="store_true", help=argparse.SUPPRESS)
    # Options of `coverage run` without a meaning here. They are taken so that a message can say
    # what to do instead.
    parser.add_argument("--timid", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--save-signal", help=argparse.SUPPRESS)
    parser.add_argument("--debug", help=argparse.SUPPRESS)
    return parser


def run(words: Sequence[str]) -> NoReturn:
    """Run the target and end as it does. Raises UsageError if the target was not started."""
    with gc_disabled():
        parser = make_parser()
        own, target = split_target(parser, words[1:])
        if own[-1:] == ["-c"]:
            raise UsageError(
                "-c is an option of Python, not of run; to measure code:"
                " covsup run -- python -c CODE"
            )
        options = parser.parse_args(own)
        if options.for_pytest and target:
            options = parser.parse_args([*own, *_options_of_pytest(target)])
        from covsup.supervisor.launch.supervise import run_target
    run_target(options, target)


def _options_of_pytest(target: list[str]) -> list[str]:
    """The options that a restarted pytest asks for; if it asks for none, become that pytest."""
    from covsup.supervisor.settings.pytest_options import options_for_run

    options = options_for_run(target)
    if options is None:
        os.execv(target[0], target)
    return options


def split_target(parser: Parser, words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Split the words of `run` into its own options and the target.

    argparse never sees the target's words, which may look like options of `run`.
    """
    with_value = parser.options_with_value()
    index = 0
    while index < len(words):
        word = words[index]
        if word == "--":
            return list(words[:index]), list(words[index + 1 :])
        if word == "--module":
            return list(words[:index]), ["-m", *words[index + 1 :]]
        if not word.startswith("-") or word == "-" or word.startswith("-m"):
            break
        index += 2 if word in with_value else 1
    return list(words[:index]), list(words[index:])


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
    """The number, or NaN, which is in no range."""
    try:
        return float(text)
    except ValueError:
        return float("nan")
