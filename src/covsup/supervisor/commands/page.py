"""`covsup page`: write a session or a data file as one web page that opens from disk."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile

from covsup.datafile.errors import CovsupError
from covsup.hints import TYPE_CHECKING
from covsup.supervisor.arguments import Parser, add_file_arguments, add_place_argument
from covsup.supervisor.messages import print_message

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Final

_DEFAULT_SIZE: Final = 25
"""MB. A forge shows an artifact of this size, and a mail program still takes it."""


class PageNotWritten(CovsupError):
    """The file cannot be written. Name another one."""


def make_parser(prog: str = "covsup page") -> Parser:
    """The parser of its arguments."""
    parser = Parser(
        prog=prog,
        description="Write what `covsup serve` shows of a session or a data file as one HTML file"
        " with everything in it: totals, sources, processes over time, contexts, marks and code that"
        " never ran. It opens from disk and loads nothing, so it is an artifact for CI. Of a session"
        " that still runs it shows the moment.",
    )
    add_place_argument(parser)
    parser.add_argument(
        "-o",
        "--output",
        default="report.html",
        metavar="FILE",
        help="where to write it (default: report.html; -: standard output)",
    )
    parser.add_argument(
        "--max-size",
        type=_megabytes,
        default=_DEFAULT_SIZE,
        metavar="MB",
        help=f"how large the file may become (default: {_DEFAULT_SIZE}). What has no room is left"
        " out and reported: sources first, those of files that never ran before others",
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="print errors only")
    add_file_arguments(parser)
    return parser


def _megabytes(word: str) -> int:
    if not (word.isascii() and word.isdigit() and 1 <= int(word) <= 2000):
        raise argparse.ArgumentTypeError(f"{word}: a size is a number of MB from 1 to 2000")
    return int(word)


def run(words: Sequence[str]) -> int:
    """Write it, and give the exit status. Raises CovsupError."""
    options = make_parser().parse_args(words[1:])
    from covsup.supervisor.sessions.shown_place import open_page
    from covsup.views.web.page.assets import read_assets
    from covsup.views.web.page.one_file import one_file

    opened = open_page(options.place, options.rcfile, options.data_file)
    try:
        page = one_file(opened.data, read_assets(), limit=options.max_size * 1_000_000)
    finally:
        opened.source_library.close()
    encoded = page.html.encode()
    if options.output == "-":
        sys.stdout.buffer.write(encoded)
    else:
        _write(options.output, encoded)
    if page.left_out:
        print_message(
            f"{page.left_out} of {page.files} sources are not in {options.output}, because it would"
            f" be larger than {options.max_size} MB: --max-size sets another limit"
        )
    if not options.quiet and options.output != "-":
        size = len(encoded) / 1e6
        print_message(
            f"wrote {options.output}: {page.sources} of {page.files} sources, {size:.1f} MB"
        )
    return 0


def _write(path: str, content: bytes) -> None:
    """Replace the file. A reader sees the earlier one or this one, never a part."""
    directory = os.path.dirname(path) or "."
    try:
        with tempfile.NamedTemporaryFile(
            dir=directory, prefix=".covsup-page-", delete=False
        ) as file:
            try:
                file.write(content)
                os.fchmod(file.fileno(), 0o666 & ~_umask())
                os.replace(file.name, path)
            except BaseException:
                os.unlink(file.name)
                raise
    except OSError as error:
        raise PageNotWritten(f"cannot write {path}: {error.strerror}") from error


def _umask() -> int:
    """The mask for new files, which can only be read by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
