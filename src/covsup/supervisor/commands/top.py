"""`covsup top`: show a session in the terminal while it runs."""

from __future__ import annotations

from covsup.hints import TYPE_CHECKING
from covsup.supervisor.arguments import Parser, add_file_arguments

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
        " of a running Python, which is attached first (covsup attach). Default: the newest session. If"
        " several run, a list of them",
    )
    add_file_arguments(parser)
    return parser


def run(words: Sequence[str]) -> int:
    """Show it until the user quits, and give the exit status. Raises CovsupError."""
    options = make_parser().parse_args(words[1:])
    from covsup.supervisor.sessions.top import top

    def attach(pid: int) -> Path:
        from covsup.supervisor.commands.attach import attach_process  # only for a pid

        named = (("--data-file", options.data_file), ("--rcfile", options.rcfile))
        return attach_process(
            pid, [f"{name}={value}" for name, value in named if value is not None]
        )

    return top(options, attach)
