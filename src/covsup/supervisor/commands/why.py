"""`covsup why`: say who ran a line first, or why it did not run."""

from __future__ import annotations

import sys

from covsup.hints import TYPE_CHECKING
from covsup.supervisor.arguments import Parser, add_answer_arguments, columns

if TYPE_CHECKING:
    from collections.abc import Sequence


def make_parser(prog: str = "covsup why") -> Parser:
    """The parser of its arguments."""
    parser = Parser(
        prog=prog,
        description="Say which process ran a line first, when, in which contexts, through which"
        " forks and execs it was started, and how it ended. Or say why the line never ran: the file"
        " was not imported or not measured, the function was not called, a line before it went"
        " elsewhere, an unmeasured process may have run it.",
    )
    parser.add_argument(
        "question",
        metavar="FILE:LINE",
        help='a line, or "FILE:LINE->LINE" (in quotes): a branch; "->exit" leaves the function. FILE'
        " is a path, or the end of one",
    )
    add_answer_arguments(parser)
    return parser


def run(words: Sequence[str]) -> int:
    """Print the answer, and give the exit status. Raises CovsupError."""
    options = make_parser().parse_args(words[1:])
    from covsup.supervisor.messages import printable
    from covsup.supervisor.sessions.measured_sources import measured_sources
    from covsup.supervisor.short_commands import (
        describe_process,
        short_command,
        without_directory,
    )
    from covsup.views.answers.why.explain import explain
    from covsup.views.answers.why.formats import why_as_json, why_as_markdown, why_as_text
    from covsup.views.answers.why.question import read_question

    question = read_question(options.question)
    with measured_sources(options) as measured:
        answer = explain(measured, question, describe_process)
    if options.format == "json":
        sys.stdout.write(why_as_json(answer) + "\n")
        return 0

    def short(argv: Sequence[str], room: int) -> str:
        return short_command(without_directory(argv), room)

    lines = (
        why_as_text(answer, short, columns())
        if options.format == "text"
        else why_as_markdown(answer, short)
    )
    sys.stdout.writelines(f"{printable(line)}\n" for line in lines)
    return 0
