"""`covsup attach`: measure a process that runs already."""

from __future__ import annotations

import sys

from covsup.hints import TYPE_CHECKING
from covsup.supervisor.arguments import (
    Help,
    Parser,
    add_file_arguments,
    add_measurement_arguments,
)
from covsup.supervisor.messages import print_message, printable

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from pathlib import Path
    from typing import Final

    from covsup.supervisor.attaching.attach import Attached

_DESCRIPTION: Final = """\
Measure a process that was started without covsup, from now on: all its threads,
loops that already run, and everything that it starts afterwards. It needs
Python 3.14 or later in that process. covsup itself may run in another version."""
_EPILOG: Final = """\
examples:
  covsup attach --branch --source=src 4711
  for pid in $(pgrep -f gunicorn); do covsup attach --source=src $pid; done
  covsup combine --keep          the data so far, while it runs
  covsup detach PID              stop, and combine
  covsup attach --wait PID       stay until the process ends, then combine
"""

_MOST_CHILDREN: Final = 10
"""How many pids a message names."""


def make_parser(prog: str = "covsup attach") -> Parser:
    """The parser of its arguments."""
    parser = Parser(
        prog=prog,
        usage="covsup attach [options] PID",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=Help,
    )
    parser.add_argument("pid", metavar="PID", type=int, help="the process")
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
        "--wait",
        action="store_true",
        help="wait until the process ends, then combine. Ctrl-C detaches it first",
    )
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
    """Attach, and give the exit status. Raises CovsupError, KeyboardInterrupt."""
    options = make_parser().parse_args(words[1:])
    from covsup.supervisor.attaching.running_python import unmeasured_children
    from covsup.supervisor.attaching.wait_for_end import wait_and_combine

    attached = _attach(options)

    def announce() -> None:
        sys.stdout.write(_sentence(attached))
        sys.stdout.flush()
        if children := unmeasured_children(attached.process.pid):
            print_message(_children(attached, children))

    if options.wait:
        return wait_and_combine(attached, announce)
    announce()
    return 0


def _children(attached: Attached, children: Sequence[int]) -> str:
    """What a server with worker processes needs: its master executes almost nothing."""
    pids = " ".join(map(str, children[:_MOST_CHILDREN]))
    more = len(children) - _MOST_CHILDREN
    return (
        f"the children that process {attached.process.pid} had before are not measured: to measure"
        f" them, attach each of them, too: {pids}{f' and {more} more' if more > 0 else ''}"
    )


def _sentence(attached: Attached) -> str:
    name, session = printable(attached.process.name), printable(str(attached.session))
    if attached.is_new:
        return (
            f"Attached: process {name} is measured since {attached.since}, into session {session}\n"
        )
    return f"Process {name} is attached already, since {attached.since}, to session {session}\n"


def attach_process(pid: int, words: Sequence[str] = ()) -> Path:
    """Attach a process, for other commands, and give its session's directory.

    `words` are options of `covsup attach`. A process that was attached before stays in its session.
    Raises CovsupError; KeyboardInterrupt, if the user gave up.
    """
    return _attach(make_parser().parse_args([*words, str(pid)])).session


def _attach(options: argparse.Namespace) -> Attached:
    from covsup.supervisor.attaching.attach import attach

    try:
        return attach(options)
    except KeyboardInterrupt:
        print_message(f"gave up: process {options.pid} is not attached")
        raise
