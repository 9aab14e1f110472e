"""`covsup unused`: show the code that never ran."""

from __future__ import annotations

import sys

from covsup.hints import TYPE_CHECKING
from covsup.supervisor.arguments import Parser, add_answer_arguments

if TYPE_CHECKING:
    from collections.abc import Sequence


def make_parser(prog: str = "covsup unused") -> Parser:
    """The parser of its arguments."""
    parser = Parser(
        prog=prog,
        description="Show the functions, methods, classes and modules whose body never ran: never"
        " imported; imported and never called; called, with lines and branches that never ran."
        " Biggest first. Code that coverage.py's settings exclude does not count. Code at module"
        " level and in class bodies, which runs at load time, is shown apart.",
    )
    parser.add_argument("paths", nargs="*", metavar="PATH", help="only these files and directories")
    add_answer_arguments(parser)
    return parser


def run(words: Sequence[str]) -> int:
    """Show it, and give the exit status. Raises CovsupError."""
    options = make_parser().parse_args(words[1:])
    from covsup.supervisor.messages import printable
    from covsup.supervisor.sessions.measured_sources import measured_sources
    from covsup.views.answers.unused import unused_code
    from covsup.views.answers.unused_formats import (
        unused_as_json,
        unused_as_markdown,
        unused_as_text,
    )

    with measured_sources(options) as measured:
        answer = unused_code(measured, options.paths)
    if options.format == "json":
        sys.stdout.write(unused_as_json(answer) + "\n")
        return 0
    lines = unused_as_text(answer) if options.format == "text" else unused_as_markdown(answer)
    sys.stdout.writelines(f"{printable(line)}\n" for line in lines)
    return 0
