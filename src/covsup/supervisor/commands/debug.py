"""`covsup debug`: show what covsup sees, for the search for a fault."""

from __future__ import annotations

import sys
from pathlib import Path

from covsup.hints import TYPE_CHECKING
from covsup.supervisor.arguments import Parser, add_file_arguments
from covsup.supervisor.messages import aligned

if TYPE_CHECKING:
    from collections.abc import Sequence


def make_parser(prog: str = "covsup debug") -> Parser:
    """The parser of its topics, and of the arguments of each."""
    parser = Parser(prog=prog)
    topics = parser.add_subparsers(
        dest="topic", metavar="TOPIC", required=True, parser_class=Parser
    )
    add_file_arguments(topics.add_parser("sys", help="versions, paths, what this system offers"))
    add_file_arguments(
        topics.add_parser("config", help="the settings that `covsup run` would have here")
    )
    migrate = topics.add_parser(
        "migrate",
        help="what to change in a project that uses coverage.py or pytest-cov",
        description="Read a project's settings, command lines (tox, nox, make, CI services, shells,"
        " Docker) and start-up snippets, and print what to write instead, or that nothing has to"
        " change. No file is changed. The exit status is 0 whatever is found.",
    )
    migrate.add_argument("directory", nargs="?", default=".", metavar="DIRECTORY")
    migrate.add_argument(
        "--rcfile",
        metavar="FILE",
        help="coverage.py's settings file, where it has another name than the usual ones",
    )
    journal = topics.add_parser("journal", help="what is in a journal")
    journal.add_argument("file", metavar="FILE")
    journal.add_argument("--facts", action="store_true", help="list lines and branches too")
    return parser


def run(words: Sequence[str]) -> int:
    """Show one topic, and give the exit status. Raises CovsupError."""
    options = make_parser().parse_args(words[1:])
    match options.topic:
        case "sys":
            from covsup.supervisor.commands.debug_system import system

            sys.stdout.write(aligned(system(options.rcfile, options.data_file)))
            return 0
        case "config":
            from covsup.supervisor.commands.debug_system import settings

            sys.stdout.write(aligned(settings(options.rcfile, options.data_file)))
            return 0
        case "migrate":
            from covsup.supervisor.migrate.report import migrate

            return migrate(Path(options.directory), options.rcfile)
        case _:
            from covsup.supervisor.commands.debug_journal import show_journal

            return show_journal(Path(options.file), facts=options.facts)
