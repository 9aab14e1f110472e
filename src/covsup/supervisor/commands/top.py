"""`covsup top`: show a session in the terminal while it runs."""

from __future__ import annotations

from covsup.hints import TYPE_CHECKING
from covsup.supervisor.arguments import Parser, add_file_arguments
from covsup.supervisor.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def make_parser(prog: str = "covsup top") -> Parser:
    """The parser of its arguments."""
    parser = Parser(
        prog=prog,
        description="Show what a session executes, while it runs: its processes, files, sources in"
        " which lines turn green as they run, contexts and marks. A session that has ended, or a data"
        " file, is shown as a report. The session does not become slower. ? shows the keys.",
        epilog="Needs the view extra: pip install 'covsup[view]'",
    )
    parser.add_argument(
        "place",
        nargs="?",
        metavar="SESSION|FILE|PID",
        help="a session directory, the id of a session beside the data file, a data file, or the pid"
        " of a running Python. Default: the newest session. If"
        " several run, a list of them",
    )
    add_file_arguments(parser)
    return parser


def run(words: Sequence[str]) -> int:
    """Show it until the user quits, and give the exit status. Raises CovsupError."""
    options = make_parser().parse_args(words[1:])
    from covsup.supervisor.sessions.top import top

    return top(options, _attach)


def _attach(pid: int) -> Path:
    """Measure a running process from now on, and give its session. Raises UsageError."""
    raise UsageError(
        f"{pid} is no session and no file: to show the process of this pid, start it with"
        " `covsup run`"
    )
