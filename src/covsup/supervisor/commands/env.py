"""`covsup env`: a session without a supervisor, for programs that covsup does not start."""

from __future__ import annotations

from covsup.hints import TYPE_CHECKING
from covsup.supervisor.arguments import (
    Help,
    Parser,
    add_file_arguments,
    add_measurement_arguments,
)
from covsup.supervisor.errors import UsageError
from covsup.supervisor.messages import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Final

_DESCRIPTION: Final = """\
Open a session without starting anything, and print what puts it into an
environment. Every Python that starts with that environment is measured.
`covsup combine` collects the data at any time, as often as you like. The
session stays open until `covsup env --close`."""
_EPILOG: Final = """\
examples:
  eval "$(covsup env --branch --source=src)"        in sh, bash, zsh
  covsup env --shell=fish | source                  in fish
  eval "docker run $(covsup env --shell=docker) image"
  covsup env --user=www-data --shell=systemd >/etc/my-service.env
"""


def make_parser(prog: str = "covsup env") -> Parser:
    """The parser of its arguments."""
    parser = Parser(
        prog=prog,
        usage='eval "$(covsup env [options])"',
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=Help,
    )
    add_measurement_arguments(parser)
    session = parser.add_argument_group("the session")
    add_file_arguments(session)
    session.add_argument(
        "-a",
        "--append",
        action="store_true",
        help="when the session is first combined, add to the data file instead of replacing it",
    )
    session.add_argument(
        "--user",
        action="append",
        metavar="NAME|UID,...",
        help="let processes of these users join, such as services that run as another user",
    )
    session.add_argument(
        "--shell",
        metavar="FORM",
        default="sh",
        help="what to print: sh (default; also bash, zsh, dash, ksh), fish, csh, powershell, json,"
        " docker (options of `docker run`), env-file (for docker's --env-file, or a CI service),"
        " systemd (an EnvironmentFile), path (the session directory alone)",
    )
    session.add_argument(
        "--close",
        action="store_true",
        help="instead of opening a session, close the one named by COVSUP_SESSION (or else every"
        " open session of this data file), and print what removes it from the environment. The"
        " next `covsup combine` collects and deletes it",
    )
    session.add_argument(
        "--reuse",
        action="store_true",
        help="if a session of this data file is open that measures the same, use it: for what"
        " starts again and again, such as a line of a crontab",
    )
    session.add_argument(
        "--list",
        action="store_true",
        help="instead of opening a session, list the open sessions of this data file",
    )
    session.add_argument("--json", action="store_true", help="with --list: print JSON")
    # The settings of a run need these, which only `run` has as options.
    parser.set_defaults(
        grace=None,
        strict=False,
        fail_under=None,
        leave_orphans=False,
        parallel_mode=False,
        quiet=True,
    )
    return parser


def run(words: Sequence[str]) -> int:
    """Open, list or close sessions, and give the exit status. Raises CovsupError."""
    options = make_parser().parse_args(words[1:])
    from covsup.supervisor.sessions import open_sessions
    from covsup.supervisor.sessions.shells import SHELL_FORMATS

    if options.shell not in SHELL_FORMATS:
        raise UsageError(
            f"--shell={options.shell} is not known{did_you_mean(options.shell, SHELL_FORMATS)}"
            f" ({', '.join(SHELL_FORMATS)})"
        )
    if options.close:
        return open_sessions.close_sessions(options)
    if options.list:
        return open_sessions.list_sessions(options)
    if options.json:
        raise UsageError(
            "--json belongs to --list; for a new session's variables as JSON: --shell=json"
        )
    return open_sessions.open_and_print(options)
