"""`covsup tree`: show the processes of a session."""

from __future__ import annotations

from covsup.hints import TYPE_CHECKING
from covsup.supervisor.arguments import Parser, add_file_arguments

if TYPE_CHECKING:
    from collections.abc import Sequence


def make_parser(prog: str = "covsup tree") -> Parser:
    """The parser of its arguments."""
    parser = Parser(
        prog=prog,
        description="Show every process of the last session: how it was started (fork, spawn, exec"
        " generation), its command line, when it began, how long it ran, how it ended, how many"
        " lines it executed, and how many of them no other process executed. Python processes that"
        " were not measured are marked, with the reason.",
    )
    parser.add_argument(
        "path",
        nargs="?",
        metavar="SESSION|FILE",
        help="a session directory that is not combined yet, or a data file. Default: the newest"
        " session, combined or not",
    )
    add_file_arguments(parser)
    parser.add_argument(
        "--all",
        action="store_true",
        help="show every session in the data file, not only the last, and each of many processes"
        " that look alike",
    )
    parser.add_argument(
        "--format",
        choices=("text", "json", "mermaid", "trace"),
        default="text",
        help="text (default); json: everything known about each process; mermaid: a flowchart for"
        " Markdown; trace: a timeline for ui.perfetto.dev (Chrome's trace event format)",
    )
    parser.add_argument(
        "--json",
        action="store_const",
        dest="format",
        const="json",
        help="the same as --format=json",
    )
    return parser


def run(words: Sequence[str]) -> int:
    """Show it, and give the exit status. Raises CovsupError."""
    options = make_parser().parse_args(words[1:])
    from covsup.supervisor.tree.show import show

    return show(options)
