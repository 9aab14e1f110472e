"""`covsup detach`: let a process leave the session that it is measured in."""

from __future__ import annotations

import sys

from covsup.hints import TYPE_CHECKING
from covsup.supervisor.arguments import Parser
from covsup.supervisor.messages import print_message, printable

if TYPE_CHECKING:
    from collections.abc import Sequence


def make_parser(prog: str = "covsup detach") -> Parser:
    """The parser of its arguments."""
    parser = Parser(
        prog=prog,
        usage="covsup detach [options] PID",
        description="Stop measuring a process that `covsup attach` or `covsup env` measures. The"
        " process runs on as without covsup, and its data are combined into the data file of its"
        " session. It can be attached again.",
    )
    parser.add_argument("pid", metavar="PID", type=int, help="the process")
    parser.add_argument(
        "--no-combine",
        action="store_true",
        help="leave the session to `covsup combine`",
    )
    return parser


def run(words: Sequence[str]) -> int:
    """Detach, and give the exit status. Raises CovsupError, KeyboardInterrupt."""
    options = make_parser().parse_args(words[1:])
    from covsup.supervisor.attaching.attach import detach
    from covsup.supervisor.attaching.wait_for_end import combine_with_others

    detached = detach(options.pid)
    name = printable(detached.process.name)
    if detached.is_paused:
        sys.stdout.write(f"Paused: process {name} records nothing more\n")
        print_message(
            "the program has tracers or interpreters of its own, so covsup stays in the process"
            " until it ends"
        )
    else:
        sys.stdout.write(f"Detached: process {name} is not measured any more\n")
    if detached.others:
        print_message(
            f"{detached.others} other process{'' if detached.others == 1 else 'es'} of its session"
            " still run: `covsup combine` collects their data when they have ended"
        )
    if options.no_combine:
        sys.stdout.write(f"Its data are in session {printable(str(detached.session.path))}\n")
        return 0
    sys.stdout.flush()
    return combine_with_others(detached.session)
