"""`covsup mark`: name a moment of a running session."""

from __future__ import annotations

from covsup.hints import TYPE_CHECKING
from covsup.supervisor.arguments import Parser, add_file_arguments
from covsup.supervisor.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence


def make_parser(prog: str = "covsup mark") -> Parser:
    """The parser of its arguments."""
    parser = Parser(
        prog=prog,
        description="Set a mark: name this moment of a running session. `covsup top`, `covsup serve`"
        " and `covsup diff mark:NAME` then show what is new since. No process is disturbed.",
        epilog="exit status: 0; 1 if there is no running session, if several run and none was named,"
        " or if the mark could not be written",
    )
    parser.add_argument("name", nargs="?", metavar="NAME", help="the name of the mark: any text")
    parser.add_argument(
        "session",
        nargs="?",
        metavar="SESSION",
        help="the session: its directory, or its id beside the data file. Default: the one that"
        " COVSUP_SESSION names, or else the running one beside the data file",
    )
    parser.add_argument(
        "--list",
        action="store_true",
        help="list the marks of every session beside the data file and in it, or of a SESSION or a"
        " data FILE, oldest first",
    )
    parser.add_argument("--json", action="store_true", help="print the list as JSON")
    parser.add_argument("-q", "--quiet", action="store_true", help="print errors only")
    add_file_arguments(parser)
    return parser


def run(words: Sequence[str]) -> int:
    """Set or list, and give the exit status. Raises CovsupError."""
    options = make_parser().parse_args(words[1:])
    from covsup.supervisor.sessions.marking import list_marks, mark_session
    from covsup.supervisor.settings.resolved_settings import resolve_data_file

    data_file = resolve_data_file(options.rcfile, options.data_file)
    if options.list or options.json:
        if options.session is not None:
            raise UsageError(f"--list takes one place, not {options.session} as well")
        return list_marks(options.name, data_file, as_json=options.json)
    if not options.name:
        raise UsageError("covsup mark needs the name of the mark (or --list)")
    return mark_session(options.name, options.session, data_file, quiet=options.quiet)
