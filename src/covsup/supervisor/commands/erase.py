"""`covsup erase`: delete the data file and its sessions."""

from __future__ import annotations

from covsup.hints import TYPE_CHECKING
from covsup.supervisor.arguments import Parser, add_assume_ended, add_file_arguments

if TYPE_CHECKING:
    from collections.abc import Sequence


def make_parser(prog: str = "covsup erase") -> Parser:
    """The parser of its arguments."""
    parser = Parser(
        prog=prog,
        description="Delete the data file, coverage.py's parallel data files, and the sessions"
        " beside it. A session in which a process still runs is kept.",
    )
    add_file_arguments(parser)
    add_assume_ended(parser)
    return parser


def run(words: Sequence[str]) -> int:
    """Delete, and give the exit status. Raises UsageError."""
    options = make_parser().parse_args(words[1:])
    from covsup.supervisor.sessions.erase import erase

    return erase(options.rcfile, options.data_file, assume_ended=options.assume_ended)
