"""The command line: the table of commands, their dispatch, and what becomes an error message.

The module of a command is imported when that command is given, so `covsup --help` imports none of
them. Each has `make_parser(prog)` and `run(words)`; `words` begins with the name of the command.

Must never know: the arguments of a command.
"""

from __future__ import annotations

import errno
import gc
import os
import signal
import sys
import warnings
from importlib import import_module

from covsup import __version__
from covsup.datafile.errors import CovsupError
from covsup.hints import TYPE_CHECKING, NamedTuple
from covsup.supervisor.arguments import Parser
from covsup.supervisor.errors import NOT_STORED, USAGE, UsageError
from covsup.supervisor.gc_pause import gc_disabled
from covsup.supervisor.messages import did_you_mean_or_all, print_message

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import ModuleType
    from typing import Final


class Command(NamedTuple):
    """One command."""

    module: str  # below covsup.supervisor.commands
    summary: str  # its line in `covsup --help`


COMMANDS: Final[Mapping[str, Command]] = {
    "run": Command("run", "run a program and measure it and every Python that it starts"),
    "combine": Command("combine", "combine what earlier, interrupted or running sessions left"),
    "env": Command("env", "open a session for programs that covsup does not start"),
    "attach": Command("attach", "measure a Python process that runs already (3.14 and later)"),
    "detach": Command("detach", "stop measuring a process, and combine its data"),
    "report": Command("report", "print a table of what was covered (coverage.py's options)"),
    "html": Command("report", "write a page for each source file (coverage.py's options)"),
    "xml": Command("report", "write a Cobertura XML file (coverage.py's options)"),
    "json": Command("report", "write a JSON file (coverage.py's options)"),
    "lcov": Command("report", "write an LCOV tracefile (coverage.py's options)"),
    "annotate": Command("report", "write copies of the sources with a mark on each line"
                        " (coverage.py's options)"),
    "affected": Command("affected", "print the tests that a change can affect"),
    "top": Command("top", "show a session in the terminal while it runs, or a data file"),
    "tree": Command("tree", "show the processes of the last session, and how each ended"),
    "why": Command("why", "say who ran a line first, or why it did not run"),
    "unused": Command("unused", "show the code that never ran, biggest first"),
    "mark": Command("mark", "name a moment of a running session, to see what is new since"),
    "diff": Command("diff", "show what is newly and no longer covered, between files or marks"),
    "serve": Command("serve", "show a session, also while it runs, or a data file as a web page"),
    "page": Command("page", "write what serve shows as one HTML file that opens from disk"),
    "erase": Command("erase", "delete the data file and the sessions beside it"),
    "debug": Command("debug", "show what covsup sees: this system, settings, journals"),
}  # fmt: skip
"""In the order of `covsup --help`."""

_FULL: Final = frozenset([errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
"""What fails with these is our output. The system does not name it."""

_ANSWER_PYTEST: Final = "--answer-pytest"
"""The command that covsup's pytest plugin gives (commands/pytest_report.py). It has no help."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and give its exit status. `run` does not return: it ends as its target did."""
    # Warnings that the user asked for (-W error) are meant for the target, not for our libraries.
    warnings.simplefilter("ignore")
    if "coverage" in sys.modules:
        _stop_startup_measurement()
    words = list(sys.argv[1:] if arguments is None else arguments)
    failed = USAGE if words[:1] == ["run"] else NOT_STORED
    if sys.stdout is None and failed == NOT_STORED:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - it was closed (>&-): print to nothing
    try:
        try:
            return _dispatch(words)
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()
            # The process ends: do not search its objects for cycles first.
            gc.freeze()
    except CovsupError as error:
        print_message(str(error))
        return USAGE if isinstance(error, UsageError) else failed
    except ImportError as error:
        # A broken installation, or a module of the user's that has the name of one of ours.
        print_message(f"covsup cannot be run by {sys.executable}: {error}")
        return failed
    except BrokenPipeError:
        _discard_output()
        return NOT_STORED
    except OSError as error:
        # A file that cannot be read, a directory that was deleted: the system names the cause.
        where = error.filename or "the current directory"
        if error.filename is None and error.errno in _FULL:
            _discard_output()
            where = "cannot write"
        print_message(f"{where}: {error.strerror}" if error.strerror else str(error))
        return failed
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
        return 128 + signal.SIGINT


def _discard_output() -> None:
    """Lose what is left of our output: its reader has gone, or its disk is full.

    Python writes it at exit once more.
    """
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _stop_startup_measurement() -> None:
    """Stop coverage.py's own startup file from measuring covsup.

    A Coverage object that is made by hand replaces, and does not save, the one of the startup file.
    """
    from coverage import Coverage  # it has been imported already

    Coverage(data_file=None, config_file=False)


def _dispatch(words: list[str]) -> int:
    words = _as_options(words)
    if words and words[0] in COMMANDS:
        return _run(words)
    if words == [_ANSWER_PYTEST]:
        status: int = _load("pytest_report").run(words)
        return status
    return _run_after_options(words)


def _run(words: list[str]) -> int:
    status: int = _load(COMMANDS[words[0]].module).run(words)
    return status


def _load(module: str) -> ModuleType:
    with gc_disabled():
        return import_module(f"covsup.supervisor.commands.{module}")


def _as_options(words: list[str]) -> list[str]:
    """Turn `help` and `version` into --help and --version. Raises UsageError."""
    match words:
        case ["help"] | ["help", "help" | "version", *_]:
            return ["--help"]
        case ["help", command, *_]:
            _check_command(command)
            return [command, "--help"]
        case ["version" | "-V", *_]:
            return ["--version"]
        case [command, *_] if not command.startswith("-"):
            _check_command(command)
    return words


def _check_command(word: str) -> None:
    if word in COMMANDS:
        return
    if os.path.exists(word):  # a word of the command line, kept as it is
        raise UsageError(f"there is no command {word}; to measure it: covsup run {word}")
    hint = did_you_mean_or_all(word, (*COMMANDS, "help", "version"))
    raise UsageError(f"there is no command {word}{hint}")


def _run_after_options(words: list[str]) -> int:
    """Do what a command line asks for that does not begin with a command; mostly it is a mistake."""
    parser = make_parser()
    options, unknown = parser.parse_known_args(words)
    if options.command is None:
        if unknown:
            parser.refuse(unknown)
        parser.print_help()
        return 0
    at = words.index(options.command)
    misplaced = [word for word in words[:at] if word != "--"]
    if misplaced:
        module = _load(COMMANDS[options.command].module)
        of_command: Parser = module.make_parser(f"covsup {options.command}")
        # A mistake in the command's own words is reported first.
        of_topic: Parser = of_command.parse_known_args(words[at + 1 :])[0].parser
        of_topic.refuse(misplaced)
    return _run(words[at:])


def make_parser() -> Parser:
    """The parser of `covsup --help`: of the commands it has the names alone."""
    parser = Parser(
        prog="covsup",
        description="Measure Python code coverage across a whole process tree: threads, greenlets,"
        " fork, exec, even killed processes.",
        epilog="`covsup COMMAND --help` or `covsup help COMMAND` describes a command.",
    )
    parser.add_argument("-V", "--version", action="version", version=f"covsup {__version__}")
    commands = parser.add_subparsers(
        title="commands", dest="command", metavar="COMMAND", parser_class=Parser
    )
    for name, command in COMMANDS.items():
        commands.add_parser(name, help=command.summary, add_help=False)
    return parser
