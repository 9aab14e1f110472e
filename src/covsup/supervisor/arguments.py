"""The parser of every command, and the arguments that several commands share.

Must never know: what a command does with its arguments.
"""

from __future__ import annotations

import argparse
import os
import sys
from functools import partial

from covsup.hints import TYPE_CHECKING
from covsup.supervisor.errors import USAGE
from covsup.supervisor.messages import did_you_mean, print_message

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, NoReturn


class Help(argparse.RawDescriptionHelpFormatter):
    """Help as wide as the terminal.

    argparse makes a formatter for each option that is added, so what a formatter imports delays
    every start of a command.
    """

    def __init__(self, prog: str, **options: Any) -> None:
        """`options` are those of argparse's formatter, which would import shutil for the width."""
        super().__init__(prog, **{"width": columns() - 2, **options})

    if sys.version_info[:2] == (3, 14):
        # Python 3.14 imports its colours, and with them `inspect`, for the first option that is
        # added. 3.15 does so when it prints, as is done here.

        def _set_color(self, *arguments: Any, **options: Any) -> None:
            for name in ("_theme", "_decolor"):
                self.__dict__.pop(name, None)
            self._set_color_now = partial(super()._set_color, *arguments, **options)

        def __getattr__(self, name: str) -> Any:
            """Give what `_set_color` of argparse would have set."""
            if name not in {"_theme", "_decolor"}:
                raise AttributeError(name)
            self._set_color_now()
            return self.__dict__[name]


def columns() -> int:
    """The width of the terminal, as shutil.get_terminal_size() gives it."""
    columns = os.environ.get("COLUMNS", "")
    if columns.isascii() and columns.isdigit() and int(columns):
        return int(columns)
    try:
        return os.get_terminal_size(sys.__stdout__.fileno()).columns or 80  # type: ignore[union-attr]
    except (AttributeError, ValueError, OSError):
        return 80


class Parser(argparse.ArgumentParser):
    """An ArgumentParser whose errors are one line, and which takes no abbreviated options."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        """As argparse's. The parsed namespace has the parser as `parser`: of a command with topics,
        the parser of the topic."""
        options.setdefault("allow_abbrev", False)
        super().__init__(*arguments, **options)
        self.set_defaults(parser=self)

    def error(self, message: str) -> NoReturn:  # type: ignore[explicit-override] # 3.12 has it
        """Print what is wrong and exit with status 2."""
        print_message(f"{message} (see `{self.prog} --help`)")
        sys.exit(USAGE)

    def parse_args(self, words: Sequence[str], _: None = None) -> argparse.Namespace:  # type: ignore[explicit-override, override]
        """As argparse does; the error for an unknown option suggests a known one."""
        options, unknown = self.parse_known_args(words)
        if unknown:
            options.parser.refuse(unknown)
        return options

    def refuse(self, unknown: Sequence[str]) -> NoReturn:
        """Exit with an error about options or arguments that this parser does not have."""
        word = unknown[0].partition("=")[0]
        if not word.startswith("-") or word == "-":
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        known = [
            option
            for action in self._actions
            if action.help != argparse.SUPPRESS
            for option in action.option_strings
        ]
        if word in known:
            self.error(f"{word} goes after the command: {self.prog} {word} ...")
        hint = did_you_mean(word, [each for each in known if each.startswith("--")], prefix="--")
        self.error(f"there is no option {word}{hint}")

    def options_with_value(self) -> set[str]:
        """The options that take the next word as their value."""
        return {
            option
            for action in self._actions
            if action.nargs is None
            for option in action.option_strings
        }


def add_measurement_arguments(parser: Parser) -> argparse._ArgumentGroup:
    """Add what holds for every process of a session. The group returned is the one for how."""
    what = parser.add_argument_group("what is measured")
    what.add_argument("--branch", action="store_true", help="measure branches as well as lines")
    what.add_argument(
        "--source",
        action="append",
        metavar="DIR|PKG|FILE,...",
        help="measure only these directories, packages and files; files in them that never run"
        " are reported too",
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
        help="record also under the current test_function, test (pytest), process, thread,"
        " greenlet, task or request (WSGI and ASGI). Several of them nest",
    )
    how = parser.add_argument_group("how")
    how.add_argument(
        "--concurrency",
        action="append",
        metavar="LIST",
        help="enable only these adapters: thread, multiprocessing, gevent, eventlet, greenlet,"
        " asyncio, fork, exec, spawn, exit. Default: auto, which enables each when its library is"
        " imported. A library named here has to be installed",
    )
    how.add_argument(
        "--core",
        metavar="CORE",
        help="where execution events come from: monitoring (Python 3.12 and later), settrace, or"
        " auto (default: monitoring where available). settrace-fast: on 3.11, settrace without the"
        " events of code that is fully recorded, which is faster, but can be noticed by the program"
        " (docs/concurrency.md); on later Pythons the same as auto",
    )
    how.add_argument(
        "--carrier",
        action="store_true",
        help="preload a small library into every program of the tree (LD_PRELOAD). It passes the"
        " session through programs that clear the environment, and measures Pythons that read no"
        " startup file (-S) or have no covsup installed (Linux)",
    )
    return how


def add_file_arguments(parser: argparse._ActionsContainer) -> None:
    """Add the data file and coverage.py's settings file."""
    parser.add_argument(
        "--data-file",
        metavar="FILE",
        help="the data file (default: .coverage, or what coverage.py's settings or COVERAGE_FILE"
        " say)",
    )
    parser.add_argument(
        "--rcfile",
        metavar="FILE",
        help="coverage.py's settings file (default: the first that coverage.py finds; empty: none)",
    )


def add_place_argument(parser: Parser) -> None:
    """Add what a command shows: a session or a data file."""
    parser.add_argument(
        "place",
        nargs="?",
        metavar="SESSION|FILE",
        help="a session directory, the id of a session beside the data file, or a data file."
        " Default: the newest session, or the data file if that is newer",
    )


def add_answer_arguments(parser: Parser) -> None:
    """Add what the commands that answer questions share: the format, and the data."""
    parser.add_argument(
        "--format",
        choices=("text", "json", "markdown"),
        default="text",
        help="how to print the answer. Default: text",
    )
    parser.add_argument(
        "--data",
        metavar="SESSION|FILE",
        help="a session directory (also while it runs), the id of a session, or a data file."
        " Default: the newest session, combined or not",
    )
    add_file_arguments(parser)


def add_assume_ended(parser: Parser) -> None:
    """Add --assume-ended, of the commands that delete sessions."""
    parser.add_argument(
        "--assume-ended",
        action="store_true",
        help="assume that processes on other machines and in containers, which covsup cannot see,"
        " have ended",
    )
