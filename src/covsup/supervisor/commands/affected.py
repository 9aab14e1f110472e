"""`covsup affected`: the tests that a change can affect."""

from __future__ import annotations

import os
import sys

from covsup.hints import TYPE_CHECKING
from covsup.supervisor.arguments import Parser, add_file_arguments
from covsup.supervisor.messages import print_message
from covsup.views.answers.affected.printed import FORMATS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Final

NO_TESTS: Final = 5
"""No test is affected. pytest has the same status if it ran no test."""


def make_parser(prog: str = "covsup affected") -> Parser:
    """The parser of its arguments."""
    parser = Parser(
        prog=prog,
        description="Print the tests whose recorded lines a change touches, one pytest node id per"
        " line: pytest $(covsup affected --since=main). The change is what differs in the working"
        " tree, with new files, from HEAD or another revision. The data must have contexts of"
        " tests: pytest --covsup --covsup-context=test. Where it is unknown which tests a change"
        " affects, more of them are printed, and a message on stderr says why.",
        epilog=f"exit status: 0; {NO_TESTS} if no test is affected (0 with --none-as); 1 if there is"
        " no answer",
    )
    parser.add_argument(
        "path",
        nargs="?",
        metavar="DATA",
        help="a data file, a session directory, or the id of a session. Default: the newest"
        " session, combined or not",
    )
    parser.add_argument(
        "--data",
        metavar="DATA",
        help="the same, as the other commands that answer questions have it",
    )
    parser.add_argument(
        "--since",
        metavar="REV",
        help="the change of this branch: everything since the last commit that REV and HEAD share."
        " Default: everything since HEAD",
    )
    parser.add_argument(
        "--format",
        choices=FORMATS,
        default="words",
        help="words: for $(...), a test whose parameters a shell would split runs with all of them;"
        " lines: exact node ids, for `pytest @FILE`; null: the same with a NUL after each, for"
        " `xargs -0`; json: with the reasons. Default: words",
    )
    parser.add_argument(
        "--none-as",
        metavar="WORD",
        help="print this if no test is affected, since pytest runs all tests if it gets no word;"
        " `--none-as=--version` has it run none",
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="print errors only on stderr")
    add_file_arguments(parser)
    return parser


def run(words: Sequence[str]) -> int:
    """Print them, and give the exit status. Raises CovsupError."""
    options = make_parser().parse_args(words[1:])
    from covsup.supervisor.sessions.view_places import place_to_view
    from covsup.supervisor.settings.resolved_settings import resolve_data_file
    from covsup.views.answers.affected.answer import affected_tests
    from covsup.views.answers.affected.printed import printed, unsafe_paths
    from covsup.views.model.open_view import open_view

    data_file = resolve_data_file(options.rcfile, options.data_file)
    view = open_view(place_to_view(options.path or options.data, data_file))
    view.refresh()
    answer = affected_tests(view, since=options.since, directory=os.getcwd())
    if not options.quiet:
        for note in answer.notes:
            print_message(note)
        if options.format == "words" and (paths := unsafe_paths(answer)):
            print_message(f"a shell splits {paths[0]}: use --format=null and `xargs -0 pytest`")
    text = printed(answer, options.format)
    if not answer.tests and options.none_as is not None and options.format != "json":
        text = options.none_as + ("\0" if options.format == "null" else "\n")
    sys.stdout.buffer.write(os.fsencode(text))
    sys.stdout.buffer.flush()
    if answer.tests or options.none_as is not None:
        return 0
    if not options.quiet:
        print_message(f"none of {answer.known} tests is affected")
    return NO_TESTS
