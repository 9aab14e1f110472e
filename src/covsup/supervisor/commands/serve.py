"""`covsup serve`: show a session or a data file as a web page, live."""

from __future__ import annotations

import argparse
import sys

from covsup.datafile.errors import CovsupError
from covsup.hints import TYPE_CHECKING
from covsup.supervisor.arguments import Parser, add_file_arguments, add_place_argument
from covsup.supervisor.messages import print_message

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Final

_DEFAULT_PORT: Final = 8787
_LOOPBACK: Final = "127.0.0.1"


class ExtraMissing(CovsupError):
    """The libraries of the extra `covsup[view]` are not installed."""


def make_parser(prog: str = "covsup serve") -> Parser:
    """The parser of its arguments."""
    parser = Parser(
        prog=prog,
        description="Show a session that runs, one that has ended, or a data file as a web page:"
        " totals, files and their sources, processes over time, contexts, marks and code that never"
        " ran. Lines turn green as they run. The URL that is printed has a random token; without it"
        " there is no access. Ctrl-C ends the server. Needs the extra covsup[view].",
    )
    add_place_argument(parser)
    add_file_arguments(parser)
    parser.add_argument(
        "--host",
        default=_LOOPBACK,
        metavar="ADDRESS",
        help="the address to listen on (default: 127.0.0.1, which only this machine reaches)."
        " Everyone who reaches another address and has the URL sees the measured sources",
    )
    parser.add_argument(
        "--port",
        type=_port,
        metavar="PORT",
        help=f"the port to listen on; 0: any free one (default: {_DEFAULT_PORT}, or any free one if"
        " that is taken)",
    )
    parser.add_argument("--open", action="store_true", help="open the page in the web browser")
    return parser


def _port(word: str) -> int:
    number = int(word) if word.isascii() and word.isdigit() else -1
    if not 0 <= number <= 65535:
        raise argparse.ArgumentTypeError(f"{word}: a port is a number from 0 to 65535")
    return number


def run(words: Sequence[str]) -> int:
    """Serve until Ctrl-C, and give the exit status. Raises CovsupError."""
    options = make_parser().parse_args(words[1:])
    try:
        from covsup.views.web.server.serve import Surroundings, is_loopback, listen, serve
    except ImportError as error:
        if (error.name or "").partition(".")[0] == "covsup":
            raise  # a broken installation
        raise ExtraMissing(
            f"covsup serve needs {error.name}, which is not installed: pip install 'covsup[view]'"
        ) from error
    from covsup.supervisor.sessions.marking import set_mark
    from covsup.supervisor.sessions.shown_place import open_page

    page = open_page(options.place, options.rcfile, options.data_file)
    try:
        listener = listen(options.host, options.port, _DEFAULT_PORT)
        if not is_loopback(listener):
            print_message(
                f"others can reach {options.host}: everyone with the URL sees the measured sources,"
                " and HTTP is not encrypted"
            )
        surroundings = Surroundings(
            announce=_browser if options.open else _print_url,
            report=print_message,
            set_mark=set_mark,
            make_report=page.place.report,
        )
        serve(page.data, listener, options.host, surroundings)
    finally:
        page.source_library.close()
    return 0


def _print_url(url: str) -> None:
    sys.stdout.write(f"{url}\n")
    sys.stdout.flush()


def _browser(url: str) -> None:
    import webbrowser  # for --open only

    _print_url(url)
    if not webbrowser.open(url):
        print_message("no web browser could be started: open the URL in one")
